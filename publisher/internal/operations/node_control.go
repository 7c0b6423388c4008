package operations

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/runnerbean/runnerbean/api"
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
		return o.control(ctx, order, func(c *nodes.Control) { c.Paused, c.Reason = *v.paused, order.Reason })
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

// SetSlots sets the number of slots of a node, or nil for its own setting. reason replaces
// the reason that is set unless it is nil. It refuses more slots than a node that is up
// says that it can hold.
func (o *Operations) SetSlots(ctx context.Context, order NodeOrder, slots *int, reason *string) error {
	if slots != nil {
		if err := o.checkSlots(ctx, order.Node, *slots); err != nil {
			return err
		}
	}
	return o.control(ctx, order, func(c *nodes.Control) {
		c.Slots = slots
		if reason != nil {
			c.Reason = *reason
		}
	})
}

func (o *Operations) checkSlots(ctx context.Context, node string, slots int) error {
	list, err := o.cfg.Nodes.List(ctx)
	if err != nil {
		return err
	}
	for _, n := range list {
		var limits struct {
			MaxSlots int `json:"max_slots"`
		}
		if n.Name != node || !n.Alive || json.Unmarshal(n.Vitals, &limits) != nil {
			continue
		}
		if limits.MaxSlots > 0 && slots > limits.MaxSlots {
			return httpio.BadMember("/slots", fmt.Sprintf("is at most %d on this node: the limits of its process (open files, processes) hold no more. Raise them, and start it again", limits.MaxSlots))
		}
	}
	return nil
}

// control changes what is set for a node.
func (o *Operations) control(ctx context.Context, order NodeOrder, change func(*nodes.Control)) error {
	if o.cfg.Control == nil {
		return forbidden("no node can be controlled at this node")
	}
	_, err := o.cfg.Control(ctx, order.Node, change, order.By, order.Expect)
	return err
}

// Forget removes a node that is dead or has left from the record.
func (o *Operations) Forget(ctx context.Context, name, by string) (api.Forgotten, error) {
	if o.cfg.Forget == nil {
		return api.Forgotten{}, forbidden("no node can be forgotten at this node")
	}
	n, err := o.cfg.Forget(ctx, name, by)
	switch {
	case errors.Is(err, nodes.ErrNoNode):
		list, err := o.cfg.Nodes.List(ctx)
		if err != nil {
			return api.Forgotten{}, err
		}
		return api.Forgotten{}, httpio.Problem(http.StatusNotFound, fmt.Sprintf("no node is named %q; %s", httpio.Shorten(name), namesOf(list)))
	case errors.Is(err, nodes.ErrAlive):
		return api.Forgotten{}, httpio.Problem(http.StatusConflict, fmt.Sprintf("the node %q is or may be alive: stop it first; if it is dead, ask again when its lease has passed", httpio.Shorten(name)))
	case errors.Is(err, nodes.ErrRuns):
		return api.Forgotten{}, httpio.Problem(http.StatusConflict, fmt.Sprintf("jobs that the node %q ran have yet to be taken back: ask again in a moment", httpio.Shorten(name)))
	}
	return api.Forgotten{Node: name, Instances: n}, err
}

// CheckReason returns a problem where a reason is too long or no text. A reason may be
// empty.
func CheckReason(reason string) error {
	if complaint := httpio.TextFault(reason); reason != "" && complaint != "" {
		return httpio.BadMember("/reason", complaint)
	}
	return nil
}
