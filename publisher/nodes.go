package publisher

import (
	"fmt"
	"math"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// getNodes lists the nodes that the ledger knows.
func (p *Publisher) getNodes(c echo.Context) error {
	at, err := parsePaging(c.QueryParams())
	if err != nil {
		return err
	}
	nodes, err := p.nodes.Read(c.Request().Context())
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

// getPrograms lists every program that a node has ever announced.
func (p *Publisher) getPrograms(c echo.Context) error {
	at, err := parsePaging(c.QueryParams())
	if err != nil {
		return err
	}
	list, err := p.programs.Read(c.Request().Context())
	if err != nil {
		return err
	}
	list.Programs, list.Next = cut(at, list.Programs, func(l api.Program) string { return l.Name })
	return httpio.SendJSON(c, http.StatusOK, list)
}
