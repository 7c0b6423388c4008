package publisher

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/jobs"
)

// maxRunningPages bounds how many running jobs are counted, in thousands.
const maxRunningPages = 8

// getNodes lists the nodes that the ledger knows.
func (p *Publisher) getNodes(c echo.Context) error {
	nodes, err := p.readNodes(c.Request().Context())
	if err != nil {
		return err
	}
	return sendJSON(c, http.StatusOK, jobs.Nodes{Nodes: nodes})
}

func nodeOf(n ledger.Node, drained bool, running int) jobs.Node {
	shown := jobs.Node{
		Name: n.Name, Instance: n.Instance, BaseURL: n.BaseURL, Version: n.Version,
		Alive: n.Alive, Drained: drained, Slots: n.Slots, Running: running,
		Programs: make([]string, 0, len(n.Programs)), Started: n.Started, Beat: n.Beat, Left: n.Left,
	}
	if len(n.Vitals) > 0 {
		var v jobs.Vitals
		if json.Unmarshal(n.Vitals, &v) == nil {
			shown.Vitals = &v
		}
	}
	for _, program := range n.Programs {
		shown.Programs = append(shown.Programs, program.Name)
		shown.Installed = append(shown.Installed, jobs.Installed{Name: program.Name, SHA256: program.SHA256})
	}
	return shown
}

func controlOf(c ledger.Control) jobs.Control {
	return jobs.Control{Slots: c.Slots, Paused: c.Paused, Since: c.Since, By: c.By, Reason: c.Reason}
}

// runningBy counts the running jobs of each instance.
func (p *Publisher) runningBy(ctx context.Context) (map[string]int, error) {
	counts, filter := map[string]int{}, ledger.Filter{State: jobs.Running, Limit: maxPage}
	for range maxRunningPages {
		page, err := p.cfg.Ledger.List(ctx, filter)
		if err != nil {
			return nil, err
		}
		for _, rec := range page.Jobs {
			counts[rec.Instance]++
		}
		if filter.Cursor = page.Next; page.Next == "" {
			break
		}
	}
	return counts, nil
}

// getPrograms lists every program that a node has ever announced.
func (p *Publisher) getPrograms(c echo.Context) error {
	list, err := p.readPrograms(c.Request().Context())
	if err != nil {
		return err
	}
	return sendJSON(c, http.StatusOK, list)
}
