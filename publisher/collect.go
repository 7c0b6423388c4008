package publisher

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/health"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
	"github.com/runnerbean/runnerbean/publisher/internal/operations"
)

// nowAge is how old what is shown as now may be.
const nowAge = time.Second

// collected is what pages, API and streams share of a moment.
type collected struct {
	overviews readings[api.Overview]
	verdicts  readings[api.Verdict]
	bodies    readings[[]byte] // of overviews
	nodes     readings[[]api.Node]
	servers   readings[[]api.Server]
	programs  readings[api.Programs]
	details   readings[api.ProgramDetails]
}

// forget makes the next reading of everything a new one: somebody has changed
// something and wants to see it.
func (c *collected) forget() {
	c.overviews.forget()
	c.verdicts.forget()
	c.bodies.forget()
	c.nodes.forget()
	c.programs.forget()
	c.details.forget()
}

// nodesNow lists every life of every node as of a second ago, by name, the
// newest life first. The processes are left out: nodeNow has them. The answer
// is shared and must not be changed.
func (p *Publisher) nodesNow(ctx context.Context) ([]api.Node, error) {
	return p.collected.nodes.get(ctx, "", nowAge, p.readNodes)
}

// readNodes is nodesNow as of now.
func (p *Publisher) readNodes(ctx context.Context) ([]api.Node, error) {
	list, err := p.readNodesWhole(ctx)
	for i := range list {
		if v := list[i].Vitals; v != nil {
			v.Processes = []api.Process{}
		}
	}
	return list, err
}

func (p *Publisher) readNodesWhole(ctx context.Context) ([]api.Node, error) {
	found, err := p.cfg.Ledger.Nodes.List(ctx)
	if err != nil {
		return nil, err
	}
	drains, err := p.ops.Drains(ctx)
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

// nodeNow is the newest life of a node as of now, with its processes. A name
// that no node has had is a problem.
func (p *Publisher) nodeNow(ctx context.Context, name string) (api.Node, error) {
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
func (p *Publisher) serversNow(ctx context.Context) []api.Server {
	list, _ := p.collected.servers.get(ctx, "", 3*time.Second, func(ctx context.Context) ([]api.Server, error) {
		return p.cfg.Servers(ctx), nil
	})
	return list
}

// programsNow lists every program that a node has announced at some time. The
// answer is shared and must not be changed.
func (p *Publisher) programsNow(ctx context.Context) (api.Programs, error) {
	return p.collected.programs.get(ctx, "", nowAge, p.readPrograms)
}

func (p *Publisher) readPrograms(ctx context.Context) (api.Programs, error) {
	list := api.Programs{Programs: []api.Program{}}
	found, err := p.cfg.Ledger.Nodes.Programs(ctx)
	if err != nil {
		return list, err
	}
	nodes, err := p.nodesNow(ctx)
	if err != nil {
		return list, err
	}
	for _, program := range found {
		list.Programs = append(list.Programs, programOf(program, nodes))
	}
	return list, p.addProgramCounts(ctx, list.Programs)
}

func programOf(program nodes.Program, nodes []api.Node) api.Program {
	shown := api.Program{
		Name: program.Name, Description: program.Description, SHA256: program.SHA256,
		Nodes: []api.InstalledOn{},
	}
	if len(program.Input) > 0 {
		shown.Input = program.Input
	}
	if len(program.Result) > 0 {
		shown.Result = program.Result
	}
	for _, n := range nodes {
		if i := health.InstalledAt(n, program.Name); n.Alive && i >= 0 {
			shown.Nodes = append(shown.Nodes, api.InstalledOn{Node: n.Name, SHA256: n.Installed[i].SHA256, Problem: n.Installed[i].Problem})
		}
	}
	return shown
}

// program tells all about one program in a window of time.
func (p *Publisher) program(ctx context.Context, name, window string) (api.ProgramDetails, error) {
	if !httpio.ProgramName.MatchString(name) {
		return api.ProgramDetails{}, noProgram(name)
	}
	back, ok := lookbackOf(window)
	if !ok {
		return api.ProgramDetails{}, httpio.BadParameter("range", badRange)
	}
	return p.collected.details.get(ctx, name+" "+window, back.age, func(ctx context.Context) (api.ProgramDetails, error) {
		return p.readProgram(ctx, name, back)
	})
}

func noProgram(name string) error {
	return httpio.Problem(http.StatusNotFound, fmt.Sprintf("no node has ever had a program %q; GET /api/v1/programs lists those that are known", httpio.Shorten(name)))
}

func (p *Publisher) readProgram(ctx context.Context, name string, back lookback) (api.ProgramDetails, error) {
	list, err := p.programsNow(ctx)
	if err != nil {
		return api.ProgramDetails{}, err
	}
	i := slices.IndexFunc(list.Programs, func(l api.Program) bool { return l.Name == name })
	if i < 0 {
		return api.ProgramDetails{}, noProgram(name)
	}
	d := api.ProgramDetails{Program: list.Programs[i], Queue: api.ProgramQueue{Program: name}}
	err = p.addProgramActivity(ctx, &d, back)
	return d, err
}

// eventPage lists what was done, newest first.
func (p *Publisher) eventPage(ctx context.Context, f eventlog.Filter) (api.EventPage, error) {
	found, err := p.cfg.Ledger.Events.Search(ctx, f)
	return api.EventPage{Events: eventsOf(found.Events), Next: found.Next, Back: found.Back}, err
}
