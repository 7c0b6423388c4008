package apihttp

import (
	"context"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/publisher/internal/auth"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
	"github.com/runnerbean/runnerbean/publisher/internal/operations"
)

// GetDrain answers with what takes no work, and why.
func (a *API) GetDrain(c echo.Context) error {
	drains, err := a.cfg.Operations.Drains(c.Request().Context())
	if err != nil {
		return err
	}
	return httpio.SendJSON(c, http.StatusOK, drains)
}

// PostDrain drains a node or the queue.
func (a *API) PostDrain(c echo.Context) error {
	if err := a.cfg.Operations.CanDrain(); err != nil {
		return err
	}
	var order struct {
		Node   *string `json:"node"` // nil is an oversight, not the queue
		Reason string  `json:"reason"`
	}
	body, err := httpio.ReadBody(c, httpio.MaxSmallBody)
	if err != nil {
		return err
	}
	if err := httpio.DecodeObject(body, &order); err != nil {
		return err
	}
	if order.Node == nil {
		return httpio.Problem(http.StatusUnprocessableEntity, `say which "node" to drain; "node": "" is the whole queue`)
	}
	if err := operations.CheckReason(order.Reason); err != nil {
		return err
	}
	return a.once(c, body, func(ctx context.Context) (int, any, error) {
		drains, err := a.cfg.Operations.Drain(ctx, *order.Node, auth.CallerOf(c).By, order.Reason)
		return http.StatusOK, drains, err
	})
}

// DeleteDrain lets a node, or the queue, take work again.
func (a *API) DeleteDrain(c echo.Context) error {
	if err := a.cfg.Operations.CanDrain(); err != nil {
		return err
	}
	node, err := drainQuery(c)
	if err != nil {
		return err
	}
	drains, err := a.cfg.Operations.Undrain(c.Request().Context(), node, auth.CallerOf(c).By)
	if err != nil {
		return err
	}
	return httpio.SendJSON(c, http.StatusOK, drains)
}

// drainQuery returns the query parameter node, which must be there.
func drainQuery(c echo.Context) (string, error) {
	query := c.QueryParams()
	for name := range query {
		if name != "node" {
			return "", httpio.BadParameter(name, "is not known here; node is")
		}
	}
	switch values, ok := query["node"]; {
	case !ok:
		return "", httpio.Problem(http.StatusBadRequest, "say what takes work again: ?node=NAME, or ?node= for the whole queue")
	case len(values) != 1:
		return "", httpio.BadParameter("node", "is given more than once")
	case values[0] != "" && httpio.TextFault(values[0]) != "":
		return "", httpio.BadParameter("node", httpio.TextFault(values[0]))
	default:
		return values[0], nil
	}
}
