package pages

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/publisher/internal/auth"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
	"github.com/runnerbean/runnerbean/publisher/internal/operations"
)

// ActOnNode does what a button on a node's page says, and leads back there.
func (p *Pages) ActOnNode(c echo.Context) error {
	name, err := nodeParam(c)
	if err != nil {
		return err
	}
	posted, err := httpio.ReadForm(c, httpio.MaxSmallBody)
	if err != nil {
		return err
	}
	ctx, order := c.Request().Context(), operations.NodeOrder{Node: name, By: auth.CallerOf(c).By, Reason: posted.Get("reason")}
	if err := operations.CheckReason(order.Reason); err != nil {
		return err
	}
	if posted.Get("do") == "forget" {
		if _, err := p.cfg.Operations.Forget(ctx, name, order.By); err != nil {
			return err
		}
		return p.see(c, "/nodes")
	}
	if err := p.cfg.Operations.KnownNode(ctx, name); err != nil {
		return err
	}
	if err := actOnNode(ctx, p.cfg.Operations, order, posted.Get("do"), posted.Get("slots")); err != nil {
		return err
	}
	return p.see(c, "/nodes/"+url.PathEscape(name))
}

// actOnNode does what a button says. Setting slots keeps the reason.
func actOnNode(ctx context.Context, ops *operations.Operations, order operations.NodeOrder, do, slots string) error {
	for _, v := range operations.NodeVerbs {
		if v.Name == do {
			if do == "resume" {
				order.Reason = "" // the reason of the form is for a pause or a drain
			}
			return ops.ApplyToNode(ctx, v, order)
		}
	}
	var wanted *int
	switch do {
	case "slots-default":
	case "slots":
		n, err := strconv.Atoi(slots)
		if err != nil || n < 0 || n > api.MaxSlots {
			return httpio.BadMember("/slots", fmt.Sprintf("is a number from 0 to %d", api.MaxSlots))
		}
		wanted = &n
	default:
		return httpio.Problem(http.StatusBadRequest, "the form says nothing that can be done to a node")
	}
	return ops.SetSlots(ctx, order, wanted, nil)
}
