package main

import (
	"context"
	"strings"

	"github.com/runnerbean/runnerbean/internal/dispatch"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/queue"
)

// checkInboxes looks for nodes of other ledgers that take documents from the
// inboxes of this node.
func checkInboxes(ctx context.Context, set settings, producer *queue.Producer, addr string) []finding {
	const check = "inbox"
	id, err := ledger.ReadID(ctx, set.Ledger)
	if err != nil {
		return []finding{{check, "warning", err.Error(), "run doctor as the user of the node"}}
	}
	own := dispatch.Taker{Inbox: set.Inbox, Ledger: id, Node: set.Node}
	others, err := dispatch.Takers(ctx, producer, addr, set.Prefix, id)
	if err != nil {
		return []finding{{check, "warning", err.Error(), ""}}
	}
	var findings []finding
	for _, shared := range dispatch.Sharing(addr, set.Prefix, own, others) {
		detail, do, _ := strings.Cut(shared.Text, "; ")
		findings = append(findings, finding{check, "warning", clean(detail), do})
	}
	return findings
}
