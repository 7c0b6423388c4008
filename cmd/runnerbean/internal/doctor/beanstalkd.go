package doctor

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/terminal"
	"github.com/runnerbean/runnerbean/internal/dispatch"
	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/queue"
	"github.com/runnerbean/runnerbean/internal/text"
)

// checkBeanstalkd checks the servers, and the tubes of the ledger that was read.
func checkBeanstalkd(ctx context.Context, set settings.Settings, read *engine.Peeked) []Finding {
	const check = name("beanstalkd")
	producer, err := queue.NewProducer(queue.Config{Addrs: set.Beanstalkd})
	if err != nil {
		return []Finding{check.failure(err.Error(), "fix RUNNERBEAN_BEANSTALKD")}
	}
	defer producer.Close()
	servers, err := producer.Servers(ctx)
	if err != nil {
		return []Finding{check.failure(err.Error())}
	}
	var findings []Finding
	for _, s := range servers {
		switch {
		case s.Err != nil:
			findings = append(findings, check.failure(fmt.Sprintf("%s: %v", s.Addr, s.Err), startAdvice()))
		case s.Stats["draining"] == "true":
			findings = append(findings, check.warning(s.Addr+" is draining: it takes no jobs", "restart it"))
		case s.Stats["binlog-max-size"] == "" || s.Stats["binlog-current-index"] == "0":
			findings = append(findings, check.warning(s.Addr+" keeps no binlog", "start it with -b FOLDER, so that jobs on the inbox survive its restart; Debian's beanstalkd.service keeps none: see \"As a service\" in docs/operations.md"))
		default:
			findings = append(findings, check.ok(fmt.Sprintf("%s answers, version %s", s.Addr, strings.Trim(s.Version, `"`))))
		}
		if s.Err == nil && read != nil {
			findings = append(findings, checkTubes(ctx, set, read.ID, producer, s.Addr)...)
		}
	}
	return findings
}

func startAdvice() string {
	if _, err := exec.LookPath("beanstalkd"); err != nil {
		return "install it (apt-get install beanstalkd), or set RUNNERBEAN_BEANSTALKD to where it runs"
	}
	return "start it (beanstalkd -b FOLDER, or \"runnerbean dev\"), or set RUNNERBEAN_BEANSTALKD to where it runs"
}

// checkTubes looks for nodes of other ledgers that take documents from the inboxes of
// this node, and for paused tubes.
func checkTubes(ctx context.Context, set settings.Settings, id string, producer *queue.Producer, addr string) []Finding {
	const check = name("tubes")
	own := dispatch.InboxReader{Inbox: set.Inbox, Ledger: id, Node: set.Node}
	others, err := dispatch.InboxReaders(ctx, producer, addr, set.Prefix)
	if err != nil {
		return []Finding{check.warning(err.Error())}
	}
	var findings []Finding
	for _, shared := range dispatch.Sharing(addr, set.Prefix, own, others) {
		detail, do, _ := strings.Cut(shared.Text, "; ")
		findings = append(findings, check.warning(terminal.Safe(detail), do))
	}
	unread, err := dispatch.UnreadInbox(ctx, producer, addr, set.Prefix)
	if err == nil && unread > 0 && set.Inbox == dispatch.InboxNode {
		findings = append(findings, check.warning(
			fmt.Sprintf("%s on the common inbox %s on %s, from which no node takes", text.Count(unread, "message", "messages"), queue.InboxTube(set.Prefix), addr),
			"put them on the inbox of a node, or set RUNNERBEAN_INBOX=shared",
		))
	}
	orphaned, err := dispatch.OrphanedInboxes(ctx, producer, addr, set.Prefix)
	if err != nil {
		return append(findings, check.warning(err.Error()))
	}
	for _, o := range orphaned {
		findings = append(findings, check.warning(
			fmt.Sprintf("%s on the inbox %s on %s, from which no node takes", text.Count(o.Messages, "message", "messages"), o.Tube, addr),
			"start the node "+o.Node+", or move them: runnerbean inbox move "+o.Node,
		))
	}
	paused, err := dispatch.PausedTubes(ctx, producer, addr, set.Prefix, id)
	if err != nil {
		return append(findings, check.warning(err.Error()))
	}
	for _, t := range paused {
		findings = append(findings, check.warning(
			t.Tube+" on "+addr+" is paused until "+t.Until.Format(time.RFC3339)+": nothing is given out of it",
			"a node that runs resumes its tubes within seconds; to stop work use \"runnerbean drain\"",
		))
	}
	return findings
}
