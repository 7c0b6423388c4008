package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/terminal"
	"github.com/runnerbean/runnerbean/internal/dispatch"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/queue"
)

// checkTubes looks for nodes of other ledgers that take documents from the
// inboxes of this node, and for tubes that somebody has paused.
func checkTubes(ctx context.Context, set settings.Settings, producer *queue.Producer, addr string) []finding {
	const check = "tubes"
	id, err := ledger.ReadID(ctx, set.Ledger)
	if err != nil {
		return []finding{{check, "warning", err.Error(), "run doctor as the user of the node"}}
	}
	own := dispatch.InboxReader{Inbox: set.Inbox, Ledger: id, Node: set.Node}
	others, err := dispatch.InboxReaders(ctx, producer, addr, set.Prefix)
	if err != nil {
		return []finding{{check, "warning", err.Error(), ""}}
	}
	var findings []finding
	for _, shared := range dispatch.Sharing(addr, set.Prefix, own, others) {
		detail, do, _ := strings.Cut(shared.Text, "; ")
		findings = append(findings, finding{check, "warning", terminal.Safe(detail), do})
	}
	unread, err := dispatch.UnreadInbox(ctx, producer, addr, set.Prefix)
	if err == nil && unread > 0 && set.Inbox == dispatch.InboxNode {
		findings = append(findings, finding{
			check, "warning", fmt.Sprintf("%d documents on the common inbox %s on %s, from which no node takes", unread, queue.InboxTube(set.Prefix), addr),
			"put them on the inbox of a node, or set RUNNERBEAN_INBOX=shared",
		})
	}
	paused, err := dispatch.PausedTubes(ctx, producer, addr, set.Prefix, id)
	if err != nil {
		return append(findings, finding{check, "warning", err.Error(), ""})
	}
	for _, t := range paused {
		findings = append(findings, finding{
			check, "warning", t.Tube + " on " + addr + " is paused until " + t.Until.Format(time.RFC3339) + ": nothing is given out of it",
			"a node that runs resumes its tubes within seconds; to stop work use \"runnerbean drain\"",
		})
	}
	return findings
}
