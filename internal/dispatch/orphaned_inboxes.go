package dispatch

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/internal/queue"
)

const (
	// maxInboxes is the largest number of inboxes of one server that one look asks about.
	maxInboxes = 200
	// maxOrphaned is how many inboxes of one server are named.
	maxOrphaned = 20
)

// inboxOf returns the tube of documents for a node, or with "" for any node.
func inboxOf(prefix, node string) string {
	if node == "" {
		return queue.InboxTube(prefix)
	}
	return queue.InboxTube(prefix) + "/" + node
}

// waitingOn returns how many messages are on a tube and will be given out. It does not
// count buried ones, because they wait for a person.
func waitingOn(stats map[string]string) int64 {
	return integer(stats["current-jobs-ready"]) + integer(stats["current-jobs-delayed"]) + integer(stats["current-jobs-reserved"])
}

// OrphanedInboxes returns the inboxes of nodes on a server that have messages and from
// which no node takes, those with the most messages first.
func OrphanedInboxes(ctx context.Context, p *queue.Producer, addr, prefix string) ([]api.OrphanedInbox, error) {
	tubes, err := p.Tubes(ctx, addr)
	if err != nil {
		return nil, err
	}
	return orphanedAmong(ctx, p, addr, prefix, tubes)
}

// orphanedAmong is OrphanedInboxes for a list of the server's tubes, which it sorts.
func orphanedAmong(ctx context.Context, p *queue.Producer, addr, prefix string, tubes []string) (list []api.OrphanedInbox, err error) {
	slices.Sort(tubes)
	asked := 0
	for _, tube := range tubes {
		node, ok := strings.CutPrefix(tube, inboxOf(prefix, "")+"/")
		if !ok || node == "" {
			continue
		}
		if asked++; asked > maxInboxes {
			break
		}
		stats, err := p.TubeStats(ctx, addr, tube)
		if err != nil {
			return nil, err
		}
		if n := waitingOn(stats); n > 0 && stats["current-watching"] == "0" {
			list = append(list, api.OrphanedInbox{Tube: tube, Node: node, Messages: n})
		}
	}
	slices.SortStableFunc(list, func(a, b api.OrphanedInbox) int { return cmp.Compare(b.Messages, a.Messages) })
	return list[:min(len(list), maxOrphaned)], nil
}

// orphanedInboxes finds messages that wait for nodes that do not exist or are not up.
type orphanedInboxes struct {
	ledger   *ledger.Ledger
	producer *queue.Producer
	prefix   string
	events   *eventRecorder

	mu    sync.Mutex
	found map[string][]api.OrphanedInbox // by the server's address
}

// look asks one server, of which tubes are all tubes.
func (o *orphanedInboxes) look(ctx context.Context, addr string, tubes []string) {
	list, err := orphanedAmong(ctx, o.producer, addr, o.prefix, tubes)
	if err == nil && len(list) > 0 {
		list, err = o.withoutLiving(ctx, list)
	}
	if err != nil {
		o.events.warn(ctx, "cannot look for messages on the inboxes of nodes that are not up", err)
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, i := range list {
		if !slices.ContainsFunc(o.found[addr], func(old api.OrphanedInbox) bool { return old.Tube == i.Tube }) {
			o.events.log.Warn("messages wait on the inbox of a node that is not up", "inbox", i.Tube, "beanstalkd", addr, "messages", i.Messages,
				"do", fmt.Sprintf("start the node, or move them: runnerbean inbox move %s", i.Node))
		}
	}
	if o.found == nil {
		o.found = map[string][]api.OrphanedInbox{}
	}
	o.found[addr] = list
}

// withoutLiving removes the inboxes of nodes that are alive. Such a node may be drained, so
// that it takes no documents now.
func (o *orphanedInboxes) withoutLiving(ctx context.Context, list []api.OrphanedInbox) ([]api.OrphanedInbox, error) {
	known, err := o.ledger.Nodes.List(ctx)
	return slices.DeleteFunc(list, func(i api.OrphanedInbox) bool {
		return slices.ContainsFunc(known, func(n nodes.Node) bool { return n.Alive && n.Name == i.Node })
	}), err
}

// of returns what the last look found on a server.
func (o *orphanedInboxes) of(addr string) []api.OrphanedInbox {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.found[addr]
}
