package publisher

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/jobs"
)

// nowAge is how old what is shown as now may be.
const nowAge = time.Second

// collected is what pages, API and streams share of a moment.
type collected struct {
	overviews readings[jobs.Overview]
	verdicts  readings[jobs.Verdict]
	bodies    readings[[]byte] // of overviews
	nodes     readings[[]jobs.Node]
	servers   readings[[]jobs.Server]
	programs  readings[jobs.Programs]
	details   readings[jobs.ProgramDetails]
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
func (p *Publisher) nodesNow(ctx context.Context) ([]jobs.Node, error) {
	return p.collected.nodes.get(ctx, "", nowAge, p.readNodes)
}

// readNodes is nodesNow as of now.
func (p *Publisher) readNodes(ctx context.Context) ([]jobs.Node, error) {
	list, err := p.readNodesWhole(ctx)
	for i := range list {
		if v := list[i].Vitals; v != nil {
			v.Processes = []jobs.Process{}
		}
	}
	return list, err
}

func (p *Publisher) readNodesWhole(ctx context.Context) ([]jobs.Node, error) {
	found, err := p.cfg.Ledger.Nodes(ctx)
	if err != nil {
		return nil, err
	}
	drains, err := p.drains(ctx)
	if err != nil {
		return nil, err
	}
	running, err := p.runningBy(ctx)
	if err != nil {
		return nil, err
	}
	controls, err := p.cfg.Ledger.Controls(ctx)
	if err != nil {
		return nil, err
	}
	nodes := make([]jobs.Node, 0, len(found))
	for _, n := range found {
		nodes = append(nodes, nodeOf(n, drained(drains, n.Name), running[n.Instance], controls[n.Name]))
	}
	return nodes, nil
}

// nodeNow is the newest life of a node as of now, with its processes. A name
// that no node has had is a problem.
func (p *Publisher) nodeNow(ctx context.Context, name string) (jobs.Node, error) {
	list, err := p.readNodesWhole(ctx)
	if err != nil {
		return jobs.Node{}, err
	}
	i := slices.IndexFunc(list, func(n jobs.Node) bool { return n.Name == name })
	if i < 0 {
		return jobs.Node{}, problem(http.StatusNotFound, fmt.Sprintf("no node is named %q", shorten(name)))
	}
	return list[i], nil
}

// serversNow is how beanstalkd does, as of a few seconds ago.
func (p *Publisher) serversNow(ctx context.Context) []jobs.Server {
	list, _ := p.collected.servers.get(ctx, "", 3*time.Second, func(ctx context.Context) ([]jobs.Server, error) {
		return p.cfg.Servers(ctx), nil
	})
	return list
}

// programsNow lists every program that a node has announced at some time. The
// answer is shared and must not be changed.
func (p *Publisher) programsNow(ctx context.Context) (jobs.Programs, error) {
	return p.collected.programs.get(ctx, "", nowAge, p.readPrograms)
}

func (p *Publisher) readPrograms(ctx context.Context) (jobs.Programs, error) {
	list := jobs.Programs{Programs: []jobs.Program{}}
	found, err := p.cfg.Ledger.Programs(ctx)
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

func programOf(program ledger.Program, nodes []jobs.Node) jobs.Program {
	shown := jobs.Program{
		Name: program.Name, Description: program.Description, SHA256: program.SHA256,
		Nodes: []jobs.InstalledOn{},
	}
	if len(program.Input) > 0 {
		shown.Input = program.Input
	}
	if len(program.Result) > 0 {
		shown.Result = program.Result
	}
	for _, n := range nodes {
		if i := installedAt(n, program.Name); n.Alive && i >= 0 {
			shown.Nodes = append(shown.Nodes, jobs.InstalledOn{Node: n.Name, SHA256: n.Installed[i].SHA256, Problem: n.Installed[i].Problem})
		}
	}
	return shown
}

func installedAt(n jobs.Node, program string) int {
	return slices.IndexFunc(n.Installed, func(i jobs.Installed) bool { return i.Name == program })
}

// program tells all about one program in a window of time.
func (p *Publisher) program(ctx context.Context, name, window string) (jobs.ProgramDetails, error) {
	if !programName.MatchString(name) {
		return jobs.ProgramDetails{}, noProgram(name)
	}
	back, ok := lookbackOf(window)
	if !ok {
		return jobs.ProgramDetails{}, badParameter("range", badRange)
	}
	return p.collected.details.get(ctx, name+" "+window, back.age, func(ctx context.Context) (jobs.ProgramDetails, error) {
		return p.readProgram(ctx, name, back)
	})
}

func noProgram(name string) error {
	return problem(http.StatusNotFound, fmt.Sprintf("no node has ever had a program %q; GET /api/v1/programs lists those that are known", shorten(name)))
}

func (p *Publisher) readProgram(ctx context.Context, name string, back lookback) (jobs.ProgramDetails, error) {
	list, err := p.programsNow(ctx)
	if err != nil {
		return jobs.ProgramDetails{}, err
	}
	i := slices.IndexFunc(list.Programs, func(l jobs.Program) bool { return l.Name == name })
	if i < 0 {
		return jobs.ProgramDetails{}, noProgram(name)
	}
	d := jobs.ProgramDetails{Program: list.Programs[i], Queue: jobs.ProgramQueue{Program: name}}
	err = p.addProgramActivity(ctx, &d, back)
	return d, err
}

// eventPage lists what was done, newest first.
func (p *Publisher) eventPage(ctx context.Context, f ledger.EventFilter) (jobs.EventPage, error) {
	found, err := p.cfg.Ledger.EventLog(ctx, f)
	return jobs.EventPage{Events: eventsOf(found.Events), Next: found.Next, Back: found.Back}, err
}
