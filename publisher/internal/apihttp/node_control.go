package apihttp

import (
	"context"
	"net/http"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/publisher/internal/auth"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
	"github.com/runnerbean/runnerbean/publisher/internal/operations"
)

// controlVersion is the part of a node's tag that stands for what is set for the node.
func controlVersion(n api.Node) string {
	version := httpio.Version(n.Control.Updated)
	if n.Drained {
		version += "d"
	}
	return version
}

// orderOf finds the node of a request and checks its If-Match field.
func (a *API) orderOf(ctx context.Context, c echo.Context, reason string) (order operations.NodeOrder, err error) {
	name, err := httpio.NameParam(c)
	if err != nil {
		return order, err
	}
	node, err := a.cfg.Nodes.Get(ctx, name)
	if err != nil {
		return order, err
	}
	wanted := httpio.IfMatch(c.Request())
	if !wanted.Holds(controlVersion(node)) {
		return order, engine.ErrChanged
	}
	order = operations.NodeOrder{Node: node.Name, By: auth.CallerOf(c).By, Reason: reason}
	if wanted.Specific() {
		order.Expect = &node.Control.Updated
	}
	return order, nil
}

// PatchNode changes the number of slots of a node.
func (a *API) PatchNode(c echo.Context) (any, error) {
	slots, reason, err := readSlots(c)
	if err != nil {
		return nil, err
	}
	ctx := c.Request().Context()
	order, err := a.orderOf(ctx, c, reason)
	if err != nil {
		return nil, err
	}
	if err := a.cfg.Operations.SetSlots(ctx, order, slots, &reason); err != nil {
		return nil, err
	}
	return a.nodeChanged(ctx, c, order.Node)
}

// DeleteNode forgets a node that is dead or has left.
func (a *API) DeleteNode(c echo.Context) (any, error) {
	if err := httpio.OnlyParameters(c.QueryParams()); err != nil {
		return nil, err
	}
	name, err := httpio.NameParam(c)
	if err != nil {
		return nil, err
	}
	return a.cfg.Operations.Forget(c.Request().Context(), name, auth.CallerOf(c).By)
}

// readSlots reads a body in which slots must be there: a number, or null for the node's
// own setting.
func readSlots(c echo.Context) (slots *int, reason string, err error) {
	var order struct {
		Slots  jsontext.Value `json:"slots"`
		Reason *string        `json:"reason"`
	}
	if err := httpio.ReadObject(c, &order); err != nil {
		return nil, "", err
	}
	const wanted = "is null or a whole number from 0 to 1024"
	if order.Slots == nil {
		return nil, "", httpio.BadMember("/slots", wanted)
	}
	if err := jsonv2.Unmarshal(order.Slots, &slots); err != nil || slots != nil && (*slots < 0 || *slots > api.MaxSlots) {
		return nil, "", httpio.BadMember("/slots", wanted)
	}
	reason, err = reasonText(order.Reason)
	return slots, reason, err
}

// PostNodeVerb applies a verb to a node.
func (a *API) PostNodeVerb(v operations.NodeVerb) echo.HandlerFunc {
	return func(c echo.Context) error {
		body, reason, err := readReason(c)
		if err != nil {
			return err
		}
		return a.once(c, body, func(ctx context.Context) (int, any, error) {
			order, err := a.orderOf(ctx, c, reason)
			if err != nil {
				return 0, nil, err
			}
			if err := a.cfg.Operations.ApplyToNode(ctx, v, order); err != nil {
				return 0, nil, err
			}
			n, err := a.nodeChanged(ctx, c, order.Node)
			return http.StatusOK, n, err
		})
	}
}

// readReason reads the body of a verb of a node. It may be empty.
func readReason(c echo.Context) (body []byte, reason string, err error) {
	body, err = httpio.ReadOptionalBody(c)
	if err != nil || len(body) == 0 {
		return nil, "", err
	}
	var order struct {
		Reason *string `json:"reason"`
	}
	if err := httpio.DecodeObject(body, &order); err != nil {
		return nil, "", err
	}
	reason, err = reasonText(order.Reason)
	return body, reason, err
}

// reasonText refuses a reason that is given and empty.
func reasonText(reason *string) (string, error) {
	if reason == nil {
		return "", nil
	}
	if complaint := httpio.TextFault(*reason); complaint != "" {
		return "", httpio.BadMember("/reason", complaint)
	}
	return *reason, nil
}

// nodeChanged returns a node after a change, under its new tag.
func (a *API) nodeChanged(ctx context.Context, c echo.Context, name string) (api.Node, error) {
	n, err := a.cfg.Nodes.Get(ctx, name)
	if err != nil {
		return n, err
	}
	if n.Vitals != nil {
		n.Vitals.Processes = []api.Process{} // as in a list: an answer that is kept has its bounds
	}
	body, err := httpio.Marshal(n)
	c.Response().Header().Set("ETag", httpio.TagOf(controlVersion(n), body))
	return n, err
}
