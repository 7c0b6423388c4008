package dispatch

import (
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

// sharedInboxes finds the nodes of other ledgers that take documents from the
// inboxes of this node, and the nodes that run on a copy of its ledger.
type sharedInboxes struct {
	ledger   *ledger.Ledger
	producer *queue.Producer
	tubes    tubes
	events   *eventRecorder

	mu    sync.Mutex
	found map[string][]api.SharedInbox // by the server's address
}

// look asks one server, of which tubes are all tubes.
func (s *sharedInboxes) look(ctx context.Context, addr string, tubes []string) {
	readers, err := readersAmong(ctx, s.producer, addr, s.tubes.prefix, tubes)
	if err != nil {
		s.events.warn(ctx, "cannot ask beanstalkd who takes from the inbox", err)
		return
	}
	found := Sharing(addr, s.tubes.prefix, s.tubes.reader(), readers)
	copies, err := s.copies(ctx, readers)
	s.events.warn(ctx, "cannot ask which nodes have this ledger", err)
	if len(copies) > 0 {
		found = append(found, copyOf(addr, s.tubes.run(""), copies))
	}
	s.keep(addr, found)
}

// keep stores what was found on a server and logs what is new.
func (s *sharedInboxes) keep(addr string, found []api.SharedInbox) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range found {
		if !slices.ContainsFunc(s.found[addr], func(old api.SharedInbox) bool { return old.Text == f.Text }) {
			s.events.log.Warn(f.Text, "node", s.tubes.node)
		}
	}
	if s.found == nil {
		s.found = map[string][]api.SharedInbox{}
	}
	s.found[addr] = found
}

// of returns what the last look found on a server.
func (s *sharedInboxes) of(addr string) []api.SharedInbox {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.found[addr]
}

// copies returns the names of the nodes whose ledger has the id of ours but is
// another file: our ledger knows every node that works with it.
func (s *sharedInboxes) copies(ctx context.Context, readers []InboxReader) (names []string, err error) {
	readers = slices.DeleteFunc(slices.Clone(readers), func(r InboxReader) bool {
		return r.Ledger != s.tubes.ledger || r.Node == s.tubes.node
	})
	if len(readers) == 0 {
		return nil, nil
	}
	list, err := s.ledger.Nodes.List(ctx)
	if err != nil {
		return nil, err
	}
	for _, r := range readers {
		if !slices.ContainsFunc(list, func(n nodes.Node) bool { return n.Name == r.Node }) {
			names = append(names, r.Node)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// Sharing returns a warning for each inbox of a server that the node own shares
// with nodes of other ledgers.
func Sharing(addr, prefix string, own InboxReader, readers []InboxReader) (list []api.SharedInbox) {
	common := queue.InboxTube(prefix)
	others := slices.DeleteFunc(slices.Clone(readers), func(r InboxReader) bool { return r.Ledger == own.Ledger })
	shared := slices.DeleteFunc(slices.Clone(others), func(r InboxReader) bool { return own.Inbox == InboxNode || r.Inbox == InboxNode })
	sameName := slices.DeleteFunc(slices.Clone(others), func(r InboxReader) bool { return r.Node != own.Node })
	if len(shared) > 0 {
		list = append(list, sharedInbox(addr, common, shared, "put documents on the inboxes of the nodes, "+common+
			"/NODE, and set RUNNERBEAN_INBOX=node, or give each system a RUNNERBEAN_PREFIX of its own, or have the nodes share one ledger"))
	}
	if len(sameName) > 0 {
		list = append(list, sharedInbox(addr, common+"/"+own.Node, sameName, "give one of the nodes another name with RUNNERBEAN_NODE"))
	}
	return list
}

func sharedInbox(addr, tube string, others []InboxReader, remedy string) api.SharedInbox {
	var nodes, ledgers []string
	for _, r := range others {
		nodes, ledgers = append(nodes, r.Node), append(ledgers, r.Ledger)
	}
	slices.Sort(nodes)
	slices.Sort(ledgers)
	nodes = slices.Compact(nodes)
	who, also := "Another ledger", "also takes"
	if n := len(slices.Compact(ledgers)); n > 1 {
		who, also = fmt.Sprintf("%d other ledgers", n), "also take"
	}
	text := fmt.Sprintf("%s (%s) %s documents from %s on %s, so that a job may run where its result URL does not lead; %s",
		who, nodeList(nodes), also, tube, addr, remedy)
	return api.SharedInbox{Tube: tube, Nodes: nodes, Text: text}
}

// copyOf returns the warning of a ledger that was copied with its data folder.
func copyOf(addr, tubes string, nodes []string) api.SharedInbox {
	text := fmt.Sprintf("A copy of this node's ledger is in use (%s), so that both take and delete each other's messages from %s… on %s; start the copy with an empty RUNNERBEAN_DATA or give it a RUNNERBEAN_PREFIX of its own",
		nodeList(nodes), tubes, addr)
	return api.SharedInbox{Tube: tubes, Nodes: nodes, Text: text}
}

// nodeList returns the names of the first nodes and the number of the others.
func nodeList(names []string) string {
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
