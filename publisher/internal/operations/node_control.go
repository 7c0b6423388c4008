package operations

import (
	"context"
	"fmt"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
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

// NodeOrder is a request to change a node.
type NodeOrder struct {
	Node, By, Reason string
	// Expect refuses a node whose Control.Updated is another one; nil takes any.
	Expect *time.Time
}

// ApplyToNode applies a verb to a node.
func (o *Operations) ApplyToNode(ctx context.Context, v NodeVerb, order NodeOrder) error {
	if v.paused != nil {
		return o.Control(ctx, order, func(c *nodes.Control) { c.Paused, c.Reason = *v.paused, order.Reason })
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
func (o *Operations) Control(ctx context.Context, order NodeOrder, change func(*nodes.Control)) error {
	if o.cfg.Control == nil {
		return forbidden("no node can be controlled at this node")
	}
	_, err := o.cfg.Control(ctx, order.Node, change, order.By, order.Expect)
	return err
}

// CheckReason returns a problem where a reason is too long or no text. A reason may be
// empty.
func CheckReason(reason string) error {
	if complaint := httpio.TextFault(reason); reason != "" && complaint != "" {
		return httpio.BadMember("/reason", complaint)
	}
	return nil
}
