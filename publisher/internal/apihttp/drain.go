package apihttp

import (
	"context"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/publisher/internal/auth"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
	"github.com/runnerbean/runnerbean/publisher/internal/operations"
)

// GetDrain returns what takes no work, and why.
func (a *API) GetDrain(c echo.Context) (any, error) {
	return a.cfg.Operations.Drains(c.Request().Context())
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

// DeleteDrain lets a node or the queue take work again.
func (a *API) DeleteDrain(c echo.Context) (any, error) {
	if err := a.cfg.Operations.CanDrain(); err != nil {
		return nil, err
	}
	node, err := drainQuery(c)
	if err != nil {
		return nil, err
	}
	return a.cfg.Operations.Undrain(c.Request().Context(), node, auth.CallerOf(c).By)
}

// drainQuery returns the query parameter node, which must be there.
func drainQuery(c echo.Context) (string, error) {
	q := c.QueryParams()
	if err := httpio.OnlyParameters(q, "node"); err != nil {
		return "", err
	}
	node := q.Get("node")
	if !q.Has("node") {
		return "", httpio.Problem(http.StatusBadRequest, "say what takes work again: ?node=NAME, or ?node= for the whole queue")
	}
	if complaint := httpio.TextFault(node); node != "" && complaint != "" {
		return "", httpio.BadParameter("node", complaint)
	}
	return node, nil
}
