package publisher

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/internal/ledger"
)

// node is a node as the API shows it.
type node struct {
	Name     string    `json:"name"`
	Instance string    `json:"instance"`
	BaseURL  string    `json:"base_url,omitempty"`
	Version  string    `json:"version,omitempty"`
	Up       bool      `json:"up"`
	Slots    int       `json:"slots"`
	Programs []string  `json:"programs"`
	Started  time.Time `json:"started"`
	Beat     time.Time `json:"beat,omitzero"`
	Left     time.Time `json:"left,omitzero"`
}

// getNodes lists the nodes that the ledger knows.
func (p *Publisher) getNodes(c echo.Context) error {
	found, err := p.cfg.Ledger.Nodes(c.Request().Context())
	if err != nil {
		return err
	}
	now, nodes := time.Now(), make([]node, 0, len(found))
	for _, n := range found {
		shown := node{
			Name: n.Name, Instance: n.Instance, BaseURL: n.BaseURL, Version: n.Version, Up: up(n, now),
			Slots: n.Slots, Programs: make([]string, 0, len(n.Programs)), Started: n.Started, Beat: n.Beat, Left: n.Left,
		}
		for _, program := range n.Programs {
			shown.Programs = append(shown.Programs, program.Name)
		}
		nodes = append(nodes, shown)
	}
	return sendJSON(c, http.StatusOK, map[string]any{"nodes": nodes})
}

// getPrograms lists every program that a node has ever announced.
func (p *Publisher) getPrograms(c echo.Context) error {
	found, err := p.cfg.Ledger.Programs(c.Request().Context())
	if err != nil {
		return err
	}
	if found == nil {
		found = []ledger.Program{}
	}
	return sendJSON(c, http.StatusOK, map[string]any{"programs": found})
}
