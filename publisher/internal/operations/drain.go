package operations

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// Drains returns what takes no work, and why.
func (o *Operations) Drains(ctx context.Context) (api.Drains, error) {
	drains := api.Drains{Nodes: []api.Drain{}}
	found, err := o.cfg.Nodes.Drains(ctx)
	for _, d := range found {
		drain := api.Drain{Node: d.Node, Since: d.Since, By: d.By, Reason: d.Reason}
		if d.Node == "" {
			drains.Queue = &drain
		} else {
			drains.Nodes = append(drains.Nodes, drain)
		}
	}
	return drains, err
}

// Drained reports whether a node, or with "" the whole queue, is drained.
func Drained(d api.Drains, node string) bool {
	if node == "" {
		return d.Queue != nil
	}
	return slices.ContainsFunc(d.Nodes, func(d api.Drain) bool { return d.Node == node })
}

// CanDrain returns a problem where nothing can be drained at this node.
func (o *Operations) CanDrain() error {
	if o.cfg.Drain == nil || o.cfg.Undrain == nil {
		return forbidden("nothing can be drained at this node")
	}
	return nil
}

// Drain drains a node, or with "" the whole queue, and returns what is drained then.
func (o *Operations) Drain(ctx context.Context, node, by, reason string) (api.Drains, error) {
	if err := o.CanDrain(); err != nil {
		return api.Drains{}, err
	}
	if err := o.KnownNode(ctx, node); err != nil {
		return api.Drains{}, err
	}
	if err := o.cfg.Drain(ctx, node, by, reason); err != nil {
		return api.Drains{}, err
	}
	drain := api.Drain{Node: node, Since: time.Now().UTC(), By: by, Reason: reason}
	known := api.Drains{Nodes: []api.Drain{drain}}
	if node == "" {
		known = api.Drains{Queue: &drain, Nodes: []api.Drain{}}
	}
	return o.drainsOr(ctx, known), nil
}

// Undrain lets a node, or with "" the whole queue, take work again, and returns what
// is drained then.
func (o *Operations) Undrain(ctx context.Context, node, by string) (api.Drains, error) {
	if err := o.CanDrain(); err != nil {
		return api.Drains{}, err
	}
	before, err := o.Drains(ctx)
	if err != nil {
		return before, err
	}
	if !Drained(before, node) {
		return before, httpio.Problem(http.StatusNotFound, drainSubject(node)+" is not drained: there is nothing to undo")
	}
	if err := o.cfg.Undrain(ctx, node, by); err != nil {
		return before, err
	}
	if node == "" {
		before.Queue = nil
	}
	before.Nodes = slices.DeleteFunc(before.Nodes, func(d api.Drain) bool { return node != "" && d.Node == node })
	return o.drainsOr(ctx, before), nil
}

// drainsOr returns what is drained after a change that the ledger has recorded: as the
// ledger says, or known where it cannot be read. The change itself has not failed.
func (o *Operations) drainsOr(ctx context.Context, known api.Drains) api.Drains {
	drains, err := o.Drains(ctx)
	if err != nil {
		o.cfg.Logger.Warn("what is drained cannot be read after it was changed", "err", err)
		return known
	}
	return drains
}

func drainSubject(node string) string {
	if node == "" {
		return "the queue"
	}
	return fmt.Sprintf("the node %q", httpio.Shorten(node))
}
