package operations

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// NodeVerb is what can be done to a node.
type NodeVerb struct {
	Name   string
	paused *bool // nil: the verb drains or undrains
	drain  bool
}

var yes, no = true, false

// NodeVerbs are all verbs of nodes.
var NodeVerbs = []NodeVerb{
	{Name: "pause", paused: &yes},
	{Name: "resume", paused: &no},
	{Name: "drain", drain: true},
	{Name: "undrain"},
}

// NodeOrder is what somebody asks of a node.
type NodeOrder struct {
	Node, By, Reason string
	// Expect refuses a node whose Control.Updated is another one; nil takes any.
	Expect *time.Time
}

// ApplyToNode applies a verb to a node.
func (o *Operations) ApplyToNode(ctx context.Context, v NodeVerb, order NodeOrder) error {
	if v.paused != nil {
		return o.Control(ctx, order, func(c *ledger.Control) { c.Paused, c.Reason = *v.paused, order.Reason })
	}
	if err := o.CanDrain(); err != nil {
		return err
	}
	var err error
	if v.drain {
		err = o.cfg.Drain(ctx, order.Node, order.By, order.Reason)
	} else {
		err = o.cfg.Undrain(ctx, order.Node, order.By)
	}
	if err != nil {
		return fmt.Errorf("%s of a node: %w", v.Name, err)
	}
	return nil
}

// Control changes what is set for a node.
func (o *Operations) Control(ctx context.Context, order NodeOrder, change func(*ledger.Control)) error {
	if o.cfg.Control == nil {
		return forbidden("no node can be controlled at this node")
	}
	_, err := o.cfg.Control(ctx, order.Node, change, order.By, order.Expect)
	return err
}

// KnownNode refuses a name that no node has had: a drain of a misspelt name would wait
// for ever. The empty name is the whole queue.
func (o *Operations) KnownNode(ctx context.Context, name string) error {
	if name == "" {
		return nil
	}
	if complaint := httpio.TextFault(name); complaint != "" {
		return httpio.BadMember("/node", complaint)
	}
	nodes, err := o.cfg.Ledger.Nodes(ctx)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(nodes, func(n ledger.Node) bool { return n.Name == name }) {
		return nil
	}
	detail := fmt.Sprintf("no node is named %q; %s", httpio.Shorten(name), namesOf(nodes))
	return &jobs.Problem{Status: http.StatusNotFound, Title: "Not Found", Detail: detail, Pointer: "/node"}
}

// namesOf names nodes for a sentence, each once and not more than twenty.
func namesOf(nodes []ledger.Node) string {
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

// CheckReason returns a problem where a reason is too long or no text. A reason may be
// empty.
func CheckReason(reason string) error {
	if complaint := httpio.TextFault(reason); reason != "" && complaint != "" {
		return httpio.BadMember("/reason", complaint)
	}
	return nil
}
