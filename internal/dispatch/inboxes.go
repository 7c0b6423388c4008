package dispatch

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/queue"
)

// What a node takes documents from.
const (
	// InboxShared: the inbox of all nodes, and its own.
	InboxShared = "shared"
	// InboxNode: its own alone.
	InboxNode = "node"
)

// maxReaders is how many nodes of other ledgers one look asks about.
const maxReaders = 200

// inboxes are the tubes that this node takes documents from. The last one gets
// none: that somebody watches it tells others who takes from here.
func (d *Dispatcher) inboxes() []string {
	common := queue.InboxTube(d.cfg.Prefix)
	if d.cfg.Node == "" {
		return []string{common}
	}
	own := []string{common + "/" + d.cfg.Node, d.inboxReader().tube(d.cfg.Prefix)}
	if d.cfg.Inbox == InboxNode {
		return own
	}
	return append([]string{common}, own...)
}

func (d *Dispatcher) inboxReader() InboxReader {
	return InboxReader{Inbox: d.cfg.Inbox, Ledger: d.cfg.Ledger.ID(), Node: d.cfg.Node}
}

// InboxReader is a node that takes documents from inboxes, of whatever ledger.
type InboxReader struct {
	Inbox  string // InboxShared or InboxNode
	Ledger string
	Node   string
}

// intake is what the names of the tubes begin with that tell of readers.
func intake(prefix string) string { return prefix + "/intake/" }

func (t InboxReader) tube(prefix string) string {
	return intake(prefix) + t.Inbox + "/" + t.Ledger + "/" + t.Node
}

func readerOf(prefix, tube string) (t InboxReader, ok bool) {
	rest, ok := strings.CutPrefix(tube, intake(prefix))
	parts := strings.SplitN(rest, "/", 3)
	if !ok || len(parts) < 3 {
		return t, false
	}
	t = InboxReader{Inbox: parts[0], Ledger: parts[1], Node: parts[2]}
	return t, (t.Inbox == InboxShared || t.Inbox == InboxNode) && t.Ledger != "" && t.Node != ""
}

// InboxReaders lists the nodes that take from inboxes on a server now, of all ledgers.
func InboxReaders(ctx context.Context, p *queue.Producer, addr, prefix string) ([]InboxReader, error) {
	tubes, err := p.Tubes(ctx, addr)
	if err != nil {
		return nil, err
	}
	return readersAmong(ctx, p, addr, prefix, tubes)
}

func readersAmong(ctx context.Context, p *queue.Producer, addr, prefix string, tubes []string) (list []InboxReader, err error) {
	slices.Sort(tubes)
	asked := 0
	for _, tube := range tubes {
		t, ok := readerOf(prefix, tube)
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
			list = append(list, t)
		}
	}
	return list, nil
}

// UnreadInbox is how many documents are on the common inbox of a server, if no node
// takes from it.
func UnreadInbox(ctx context.Context, p *queue.Producer, addr, prefix string) (int64, error) {
	stats, err := p.TubeStats(ctx, addr, queue.InboxTube(prefix))
	if err != nil || stats["current-watching"] != "0" {
		return 0, err
	}
	return integer(stats["current-jobs-ready"]), nil
}

// Sharing is what a node has to know of nodes of other ledgers that take from
// the same inboxes of a server.
func Sharing(addr, prefix string, own InboxReader, readers []InboxReader) (list []api.SharedInbox) {
	common := queue.InboxTube(prefix)
	others := slices.DeleteFunc(slices.Clone(readers), func(t InboxReader) bool { return t.Ledger == own.Ledger })
	all := slices.DeleteFunc(slices.Clone(others), func(t InboxReader) bool { return own.Inbox == InboxNode || t.Inbox == InboxNode })
	twins := slices.DeleteFunc(slices.Clone(others), func(t InboxReader) bool { return t.Node != own.Node })
	if len(all) > 0 {
		list = append(list, sharedInbox(addr, common, all, "put documents on the inboxes of the nodes, "+common+
			"/NODE, and set RUNNERBEAN_INBOX=node, or give each system a RUNNERBEAN_PREFIX of its own, or have the nodes share one ledger"))
	}
	if len(twins) > 0 {
		list = append(list, sharedInbox(addr, common+"/"+own.Node, twins, "give one of the nodes another name with RUNNERBEAN_NODE"))
	}
	return list
}

func sharedInbox(addr, tube string, others []InboxReader, do string) api.SharedInbox {
	var nodes, ledgers []string
	for _, t := range others {
		nodes, ledgers = append(nodes, t.Node), append(ledgers, t.Ledger)
	}
	slices.Sort(nodes)
	slices.Sort(ledgers)
	nodes = slices.Compact(nodes)
	who := "Another ledger"
	also := "also takes"
	if n := len(slices.Compact(ledgers)); n > 1 {
		who, also = fmt.Sprintf("%d other ledgers", n), "also take"
	}
	text := fmt.Sprintf("%s (%s) %s documents from %s on %s, so that a job may run where its result URL does not lead; %s",
		who, namesOf(nodes), also, tube, addr, do)
	return api.SharedInbox{Tube: tube, Nodes: nodes, Text: text}
}

// copies are the nodes that have a ledger of our id which is not ours: ours knows
// every node that works with it.
func (d *Dispatcher) copies(ctx context.Context, readers []InboxReader) (names []string, err error) {
	readers = slices.DeleteFunc(slices.Clone(readers), func(t InboxReader) bool { return t.Ledger != d.cfg.Ledger.ID() || t.Node == d.cfg.Node })
	if len(readers) == 0 {
		return nil, nil
	}
	nodes, err := d.cfg.Ledger.Nodes(ctx)
	if err != nil {
		return nil, err
	}
	for _, t := range readers {
		if !slices.ContainsFunc(nodes, func(n ledger.Node) bool { return n.Name == t.Node }) {
			names = append(names, t.Node)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// copyOf warns of a ledger that was copied with its data folder.
func copyOf(addr, tubes string, nodes []string) api.SharedInbox {
	text := fmt.Sprintf("A copy of this node's ledger is in use (%s), so that both take and delete each other's messages from %s… on %s; start the copy with an empty RUNNERBEAN_DATA or give it a RUNNERBEAN_PREFIX of its own",
		namesOf(nodes), tubes, addr)
	return api.SharedInbox{Tube: tubes, Nodes: nodes, Text: text}
}

// namesOf names a few nodes.
func namesOf(names []string) string {
	const most = 5
	text := "node "
	if len(names) > 1 {
		text = "nodes "
	}
	text += strings.Join(names[:min(len(names), most)], ", ")
	if more := len(names) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
