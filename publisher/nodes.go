package publisher

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger/listing"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// maxRunningPages bounds how many running jobs are counted, in thousands.
const maxRunningPages = 8

// getNodes lists the nodes that the ledger knows.
func (p *Publisher) getNodes(c echo.Context) error {
	at, err := parsePaging(c.QueryParams())
	if err != nil {
		return err
	}
	nodes, err := p.readNodes(c.Request().Context())
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

func nodeOf(n nodes.Node, drained bool, running int, control nodes.Control) api.Node {
	shown := api.Node{
		Name: n.Name, Instance: n.Instance, BaseURL: n.BaseURL, Version: n.Version,
		Alive: n.Alive, Drained: drained, Slots: n.Slots, Running: running, Control: controlOf(control),
		Programs: make([]string, 0, len(n.Programs)), Started: n.Started, Beat: n.Beat, Left: n.Left,
		Seen: n.Seen, Lapses: n.Lapses,
	}
	for _, program := range n.Programs {
		shown.Programs = append(shown.Programs, program.Name)
		shown.Installed = append(shown.Installed, api.Installed{Name: program.Name, SHA256: program.SHA256, Problem: program.Problem})
	}
	if n.Left.IsZero() { // what a machine was like that is gone helps nobody
		shown.Vitals = vitalsOf(n.Vitals)
	}
	return shown
}

// vitalsOf reads what a node said of its machine; nil where it said nothing
// that can be read.
func vitalsOf(text json.RawMessage) *api.Vitals {
	v := &api.Vitals{}
	if len(text) == 0 || json.Unmarshal(text, v) != nil {
		return nil
	}
	if v.Disks == nil {
		v.Disks = []api.Disk{}
	}
	if v.Processes == nil {
		v.Processes = []api.Process{}
	}
	return v
}

func controlOf(c nodes.Control) api.Control {
	return api.Control{Slots: c.Slots, Paused: c.Paused, Since: c.Since, By: c.By, Reason: c.Reason, Updated: c.Updated}
}

// runningBy counts the running jobs of each instance.
func (p *Publisher) runningBy(ctx context.Context) (map[string]int, error) {
	counts, filter := map[string]int{}, listing.Filter{State: jobs.Running, Limit: httpio.MaxPage}
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
	at, err := parsePaging(c.QueryParams())
	if err != nil {
		return err
	}
	list, err := p.readPrograms(c.Request().Context())
	if err != nil {
		return err
	}
	list.Programs, list.Next = cut(at, list.Programs, func(l api.Program) string { return l.Name })
	return httpio.SendJSON(c, http.StatusOK, list)
}
