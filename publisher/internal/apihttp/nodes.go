package apihttp

import (
	"fmt"
	"math"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// GetNodes lists the nodes that the ledger knows.
func (a *API) GetNodes(c echo.Context) error {
	at, err := parsePaging(c.QueryParams())
	if err != nil {
		return err
	}
	nodes, err := a.cfg.Nodes.Read(c.Request().Context())
	if err != nil {
		return err
	}
	var list api.Nodes
	list.Nodes, list.Next = cut(at, nodes, lifeKey)
	return httpio.SendJSON(c, http.StatusOK, list)
}

// lifeKey sorts lives of nodes by name, the newest first.
func lifeKey(n api.Node) string {
	return fmt.Sprintf("%s\x00%016x%s", n.Name, math.MaxInt64-n.Started.UnixMicro(), n.Instance)
}

// GetNode tells all about the newest life of one node.
func (a *API) GetNode(c echo.Context) error {
	if err := httpio.OnlyParameters(c.QueryParams()); err != nil {
		return err
	}
	name, err := httpio.NameParam(c)
	if err != nil {
		return err
	}
	return a.sendNode(c, name)
}

func (a *API) sendNode(c echo.Context, name string) error {
	n, err := a.cfg.Nodes.Get(c.Request().Context(), name)
	if err != nil {
		return err
	}
	return httpio.SendTagged(c, controlVersion(n), n, n)
}
