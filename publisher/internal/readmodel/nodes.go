package readmodel

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger/listing"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
	"github.com/runnerbean/runnerbean/publisher/internal/operations"
)

// nowAge is the greatest age of what is shown as the present.
const nowAge = time.Second

// Now returns every life of every node, at most a second old, by name and then newest first,
// without processes. The answer is shared and must not be changed.
func (p *Nodes) Now(ctx context.Context) ([]api.Node, error) {
	return p.lives.get(ctx, "", nowAge, p.Read)
}

// Read returns the same as Now, read just now.
func (p *Nodes) Read(ctx context.Context) ([]api.Node, error) {
	list, err := p.readNodesWhole(ctx)
	for i := range list {
		if v := list[i].Vitals; v != nil {
			v.Processes = []api.Process{}
		}
	}
	return list, err
}

func (p *Nodes) readNodesWhole(ctx context.Context) ([]api.Node, error) {
	found, err := p.cfg.Ledger.Nodes.List(ctx)
	if err != nil {
		return nil, err
	}
	drains, err := p.cfg.Drains(ctx)
	if err != nil {
		return nil, err
	}
	running, err := p.runningBy(ctx)
	if err != nil {
		return nil, err
	}
	controls, err := p.cfg.Ledger.Nodes.Controls(ctx)
	if err != nil {
		return nil, err
	}
	nodes := make([]api.Node, 0, len(found))
	for _, n := range found {
		nodes = append(nodes, nodeOf(n, operations.Drained(drains, n.Name), running[n.Instance], controls[n.Name]))
	}
	return nodes, nil
}

// Get returns the newest life of a node, read just now, with its processes. The error is a
// problem of status 404 if no node has ever had the name.
func (p *Nodes) Get(ctx context.Context, name string) (api.Node, error) {
	list, err := p.readNodesWhole(ctx)
	if err != nil {
		return api.Node{}, err
	}
	i := slices.IndexFunc(list, func(n api.Node) bool { return n.Name == name })
	if i < 0 {
		return api.Node{}, httpio.Problem(http.StatusNotFound, fmt.Sprintf("no node is named %q", httpio.Shorten(name)))
	}
	return list[i], nil
}

// serversNow returns the beanstalkd servers, at most three seconds old.
func (p *Nodes) serversNow(ctx context.Context) []api.Server {
	list, _ := p.servers.get(ctx, "", 3*time.Second, func(ctx context.Context) ([]api.Server, error) {
		return p.cfg.Servers(ctx), nil
	})
	return list
}

// maxRunningPages bounds the pages of running jobs that are counted.
const maxRunningPages = 8

func nodeOf(n nodes.Node, drained bool, running int, control nodes.Control) api.Node {
	shown := api.Node{
		Name: n.Name, Instance: n.Instance, BaseURL: n.BaseURL, Version: n.Version,
		Alive: n.Alive, Drained: drained, Slots: n.Slots, Running: running, Control: controlOf(control),
		Programs: make([]string, 0, len(n.Programs)), Started: n.Started, Beat: n.Beat, Left: n.Left,
		Seen: n.Seen, Lapses: n.Lapses, Settings: n.Settings,
	}
	for _, program := range n.Programs {
		shown.Programs = append(shown.Programs, program.Name)
		shown.Installed = append(shown.Installed, api.Installed{
			Name: program.Name, SHA256: program.SHA256, Weight: max(program.Weight, 1), Checkpoint: program.Checkpoint, Problem: program.Problem,
		})
	}
	if n.Left.IsZero() { // old vitals of a stopped node say nothing
		shown.Vitals = vitalsOf(n.Vitals)
	}
	return shown
}

// vitalsOf returns the vitals that a node has reported, or nil if there are none that can be
// read.
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

// runningBy counts the running jobs of each instance that take slots: batches do not.
func (p *Nodes) runningBy(ctx context.Context) (map[string]int, error) {
	counts, filter := map[string]int{}, listing.Filter{State: jobs.Running, Limit: httpio.MaxPage}
	for range maxRunningPages {
		page, err := p.cfg.Ledger.List(ctx, filter)
		if err != nil {
			return nil, err
		}
		for _, rec := range page.Jobs {
			if rec.Program != jobs.BatchProgram {
				counts[rec.Instance]++
			}
		}
		if filter.Cursor = page.Next; page.Next == "" {
			break
		}
	}
	return counts, nil
}

type Nodes struct {
	cfg     Config
	lives   FlightCache[[]api.Node]
	servers FlightCache[[]api.Server]
}

func (r *Nodes) Forget() { r.lives.forget() }

func NewNodes(cfg Config) *Nodes { return &Nodes{cfg: cfg} }
