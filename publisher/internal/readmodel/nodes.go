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

// nowAge is how old what is shown as now may be.
const nowAge = time.Second

// Now lists every life of every node as of a second ago, by name, the
// newest life first. The processes are left out: nodeNow has them. The answer
// is shared and must not be changed.
func (p *Nodes) Now(ctx context.Context) ([]api.Node, error) {
	return p.lives.get(ctx, "", nowAge, p.Read)
}

// Read is nodesNow as of now.
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

// Get is the newest life of a node as of now, with its processes. A name
// that no node has had is a problem.
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

// serversNow is how beanstalkd does, as of a few seconds ago.
func (p *Nodes) serversNow(ctx context.Context) []api.Server {
	list, _ := p.servers.get(ctx, "", 3*time.Second, func(ctx context.Context) ([]api.Server, error) {
		return p.cfg.Servers(ctx), nil
	})
	return list
}

// maxRunningPages bounds how many running jobs are counted, in thousands.
const maxRunningPages = 8

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
func (p *Nodes) runningBy(ctx context.Context) (map[string]int, error) {
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

type Nodes struct {
	cfg     Config
	lives   FlightCache[[]api.Node]
	servers FlightCache[[]api.Server]
}

func (r *Nodes) Forget() { r.lives.forget() }

func NewNodes(cfg Config) *Nodes { return &Nodes{cfg: cfg} }
