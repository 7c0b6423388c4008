package dispatch

import (
	"context"
	"slices"
	"strings"

	"github.com/runnerbean/runnerbean/internal/queue"
)

// The values of Config.Inbox: where a node takes documents from.
const (
	// InboxShared is the inbox of all nodes, and the node's own.
	InboxShared = "shared"
	// InboxNode is the node's own inbox alone.
	InboxNode = "node"
)

// maxReaders is the largest number of nodes that one look asks about.
const maxReaders = 200

// InboxReader is a node that takes documents from inboxes. It may belong to
// another ledger.
type InboxReader struct {
	Inbox  string // InboxShared or InboxNode
	Ledger string
	Node   string
}

// readerTubes returns the prefix of the tubes that nodes watch to tell others
// that they take documents.
func readerTubes(prefix string) string { return prefix + "/intake/" }

func (r InboxReader) tube(prefix string) string {
	return readerTubes(prefix) + r.Inbox + "/" + r.Ledger + "/" + r.Node
}

// readerOf returns the node that watches a tube, by the tube's name.
func readerOf(prefix, tube string) (r InboxReader, ok bool) {
	rest, ok := strings.CutPrefix(tube, readerTubes(prefix))
	parts := strings.SplitN(rest, "/", 3)
	if !ok || len(parts) < 3 {
		return r, false
	}
	r = InboxReader{Inbox: parts[0], Ledger: parts[1], Node: parts[2]}
	return r, (r.Inbox == InboxShared || r.Inbox == InboxNode) && r.Ledger != "" && r.Node != ""
}

// InboxReaders returns the nodes of all ledgers that take documents from inboxes
// on a server now, sorted.
func InboxReaders(ctx context.Context, p *queue.Producer, addr, prefix string) ([]InboxReader, error) {
	tubes, err := p.Tubes(ctx, addr)
	if err != nil {
		return nil, err
	}
	return readersAmong(ctx, p, addr, prefix, tubes)
}

// readersAmong is InboxReaders for a list of the server's tubes, which it sorts.
func readersAmong(ctx context.Context, p *queue.Producer, addr, prefix string, tubes []string) (list []InboxReader, err error) {
	slices.Sort(tubes)
	asked := 0
	for _, tube := range tubes {
		r, ok := readerOf(prefix, tube)
		if !ok {
			continue
		}
		if asked++; asked > maxReaders {
			break
		}
		stats, err := p.TubeStats(ctx, addr, tube)
		if err != nil {
			return nil, err
		}
		if integer(stats["current-watching"]) > 0 {
			list = append(list, r)
		}
	}
	return list, nil
}

// UnreadInbox returns the number of messages on the common inbox of a server
// from which no node takes them. It returns 0 if a node does.
func UnreadInbox(ctx context.Context, p *queue.Producer, addr, prefix string) (int64, error) {
	stats, err := p.TubeStats(ctx, addr, queue.InboxTube(prefix))
	if err != nil || stats["current-watching"] != "0" {
		return 0, err
	}
	return integer(stats["current-jobs-ready"]), nil
}
