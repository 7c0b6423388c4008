package operations

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// KnownNode refuses a name that no node has had: a drain of a misspelt name would wait
// for ever. The empty name is the whole queue.
func (o *Operations) KnownNode(ctx context.Context, name string) error {
	if name == "" {
		return nil
	}
	if complaint := httpio.TextFault(name); complaint != "" {
		return httpio.BadMember("/node", complaint)
	}
	list, err := o.cfg.Nodes.List(ctx)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(list, func(n nodes.Node) bool { return n.Name == name }) {
		return nil
	}
	detail := fmt.Sprintf("no node is named %q; %s", httpio.Shorten(name), namesOf(list))
	return &jobs.Problem{Status: http.StatusNotFound, Title: "Not Found", Detail: detail, Pointer: "/node"}
}

// namesOf names nodes for a sentence, each once and not more than twenty.
func namesOf(nodes []nodes.Node) string {
	const most = 20
	var names []string
	for _, n := range nodes {
		if !slices.Contains(names, n.Name) && len(names) < most {
			names = append(names, n.Name)
		}
	}
	if len(names) == 0 {
		return "none is known"
	}
	return "known are " + strings.Join(names, ", ")
}
