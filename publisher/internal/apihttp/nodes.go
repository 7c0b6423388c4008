package apihttp

import (
	"fmt"
	"math"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/health"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// GetNodes returns a page of the nodes that the ledger knows.
func (a *API) GetNodes(c echo.Context) (any, error) {
	at, err := parsePaging(c.QueryParams())
	if err != nil {
		return nil, err
	}
	nodes, err := a.cfg.Nodes.Read(c.Request().Context())
	if err != nil {
		return nil, err
	}
	var list api.Nodes
	list.Differences = health.Differences(nodes)
	list.Nodes, list.Next = cut(at, nodes, lifeKey)
	return list, nil
}

// lifeKey sorts instances of nodes by name, and those of one name by age, the newest
// first.
func lifeKey(n api.Node) string {
	return fmt.Sprintf("%s\x00%016x%s", n.Name, math.MaxInt64-n.Started.UnixMicro(), n.Instance)
}

// GetNode answers with all about the newest instance of a node.
func (a *API) GetNode(c echo.Context) error {
	if err := httpio.OnlyParameters(c.QueryParams()); err != nil {
		return err
	}
	name, err := httpio.NameParam(c)
	if err != nil {
		return err
	}
	n, err := a.cfg.Nodes.Get(c.Request().Context(), name)
	if err != nil {
		return err
	}
	return httpio.SendTagged(c, controlVersion(n), n, n)
}
