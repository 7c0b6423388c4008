package dispatch

import (
	"slices"
	"strings"

	"github.com/runnerbean/runnerbean/internal/queue"
)

// tubes knows the names of the tubes that one node uses.
type tubes struct{ prefix, ledger, node, inbox string }

// run returns the run tube of a program. The tubes of one ledger share the name
// that it returns for "" as a prefix.
func (t tubes) run(program string) string { return queue.RunTube(t.prefix, t.ledger, program) }

// program returns the program of a run tube of this ledger, and "" for any other
// tube.
func (t tubes) program(tube string) string {
	program, ok := strings.CutPrefix(tube, t.run(""))
	if !ok {
		return ""
	}
	return program
}

// reader returns this node as others see it.
func (t tubes) reader() InboxReader {
	return InboxReader{Inbox: t.inbox, Ledger: t.ledger, Node: t.node}
}

// inboxes returns the tubes from which this node takes documents. Nothing is put
// on the last one: the node watches it to tell others that it takes documents.
func (t tubes) inboxes() []string {
	common := queue.InboxTube(t.prefix)
	if t.node == "" {
		return []string{common}
	}
	own := []string{queue.NodeInboxTube(t.prefix, t.node), t.reader().tube(t.prefix)}
	if t.inbox == InboxNode {
		return own
	}
	return append([]string{common}, own...)
}

// reads reports whether this node takes messages from a tube.
func (t tubes) reads(tube string) bool {
	return t.program(tube) != "" || slices.Contains(t.inboxes(), tube)
}
