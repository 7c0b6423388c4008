package publisher

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/publisher/internal/auth"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// postNodeAct does what a button of a node's page says, and goes back to it.
func (p *Publisher) postNodeAct(c echo.Context) error {
	name, err := nodeParam(c)
	if err != nil {
		return err
	}
	posted, err := httpio.ReadForm(c, httpio.MaxSmallBody)
	if err != nil {
		return err
	}
	reason := posted.Get("reason")
	if reason != "" && httpio.TextFault(reason) != "" {
		return httpio.BadMember("/reason", httpio.TextFault(reason))
	}
	ctx := c.Request().Context()
	if err := p.knownNode(ctx, name); err != nil {
		return err
	}
	if err := p.actOnNode(ctx, name, posted, reason, auth.CallerOf(c).By); err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, httpio.BasePath(p.pageBase())+"/nodes/"+url.PathEscape(name))
}

func (p *Publisher) actOnNode(ctx context.Context, node string, posted url.Values, reason, by string) error {
	switch do := posted.Get("do"); {
	case do == "drain" && p.cfg.Drain != nil:
		return p.cfg.Drain(ctx, node, by, reason)
	case do == "undrain" && p.cfg.Undrain != nil:
		return p.cfg.Undrain(ctx, node, by)
	default:
		change, err := nodeChange(do, posted.Get("slots"), reason)
		if err != nil {
			return err
		}
		if p.cfg.Control == nil {
			return httpio.Problem(http.StatusForbidden, "no node can be controlled from here")
		}
		_, err = p.cfg.Control(ctx, node, change, by, nil)
		return err
	}
}

// nodeChange is what a button changes of what persons have set.
func nodeChange(do, slots, reason string) (func(*ledger.Control), error) {
	switch do {
	case "pause":
		return func(c *ledger.Control) { c.Paused, c.Reason = true, reason }, nil
	case "resume":
		return func(c *ledger.Control) { c.Paused, c.Reason = false, "" }, nil
	case "slots-default":
		return func(c *ledger.Control) { c.Slots = nil }, nil
	case "slots":
		n, err := strconv.Atoi(slots)
		if err != nil || n < 0 || n > api.MaxSlots {
			return nil, httpio.BadMember("/slots", fmt.Sprintf("is a number from 0 to %d", api.MaxSlots))
		}
		return func(c *ledger.Control) { c.Slots = &n }, nil
	}
	return nil, httpio.Problem(http.StatusBadRequest, "the form says nothing that can be done to a node")
}
