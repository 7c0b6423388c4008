package readmodel

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/health"
	"github.com/runnerbean/runnerbean/internal/ledger/activity"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// Now returns every program that a node has ever announced, at most a second old. The answer
// is shared and must not be changed.
func (p *Programs) Now(ctx context.Context) (api.Programs, error) {
	return p.list.get(ctx, "", nowAge, p.Read)
}

func (p *Programs) Read(ctx context.Context) (api.Programs, error) {
	list := api.Programs{Programs: []api.Program{}}
	found, err := p.cfg.Ledger.Nodes.Programs(ctx)
	if err != nil {
		return list, err
	}
	nodes, err := p.nodes.Now(ctx)
	if err != nil {
		return list, err
	}
	for _, program := range found {
		list.Programs = append(list.Programs, programOf(program, nodes))
	}
	return list, p.addProgramCounts(ctx, list.Programs)
}

func programOf(program nodes.Program, lives []api.Node) api.Program {
	shown := api.Program{
		Name: program.Name, Description: program.Description, SHA256: program.SHA256, Weight: max(program.Weight, 1),
		Nodes: []api.InstalledOn{},
	}
	if len(program.Input) > 0 {
		shown.Input = program.Input
	}
	if len(program.Result) > 0 {
		shown.Result = program.Result
	}
	for _, n := range lives {
		if i := health.InstalledAt(n, program.Name); n.Alive && i >= 0 {
			shown.Nodes = append(shown.Nodes, api.InstalledOn{Node: n.Name, SHA256: n.Installed[i].SHA256, Problem: n.Installed[i].Problem})
		}
	}
	return shown
}

// Get returns all about one program in a window of time. The answer is shared and must not be
// changed.
func (p *Programs) Get(ctx context.Context, name, window string) (api.ProgramDetails, error) {
	if !httpio.ProgramName.MatchString(name) {
		return api.ProgramDetails{}, noProgram(name)
	}
	back, ok := LookbackOf(window)
	if !ok {
		return api.ProgramDetails{}, httpio.BadParameter("range", BadRange)
	}
	return p.details.get(ctx, name+" "+window, back.age, func(ctx context.Context) (api.ProgramDetails, error) {
		return p.readProgram(ctx, name, back)
	})
}

func noProgram(name string) error {
	return httpio.Problem(http.StatusNotFound, fmt.Sprintf("no node has ever had a program %q; GET /api/v1/programs lists those that are known", httpio.Shorten(name)))
}

func (p *Programs) readProgram(ctx context.Context, name string, back lookback) (api.ProgramDetails, error) {
	list, err := p.Now(ctx)
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

func (p *Programs) addProgramActivity(ctx context.Context, d *api.ProgramDetails, back lookback) error {
	now := time.Now().UTC()
	a, err := p.cfg.Ledger.Activity.History(ctx, now.Add(-back.length), now, d.Name)
	if err != nil {
		return err
	}
	d.Window = spanned(back, a)
	d.Ended, d.Failures, d.Unfinished = sums(a.Programs)
	d.Finished = lines(a, a.Programs, now, func(t activity.Tally) string { return string(t.State) })
	bins, mean, err := p.cfg.Ledger.Activity.Durations(ctx, d.Name, now.Add(-back.length))
	if err != nil {
		return err
	}
	d.Durations, d.Mean = append([]api.Bin{}, bins...), mean.Seconds()
	return p.addProgramQueue(ctx, d)
}

func (p *Programs) addProgramQueue(ctx context.Context, d *api.ProgramDetails) error {
	b, err := p.cfg.Ledger.Backlog(ctx)
	for _, q := range b.Programs {
		if q.Program == d.Name {
			d.Queue = queueOf(q)
			d.Queued, d.Running = q.Queued, q.Running
		}
	}
	return err
}

// addProgramCounts adds to each program the jobs of the last day and those in the queue.
func (p *Programs) addProgramCounts(ctx context.Context, list []api.Program) error {
	now := time.Now()
	a, err := p.cfg.Ledger.Activity.History(ctx, now.Add(-24*time.Hour), now, "")
	if err != nil {
		return err
	}
	b, err := p.cfg.Ledger.Backlog(ctx)
	if err != nil {
		return err
	}
	places := make(map[string]*api.Program, len(list))
	for i := range list {
		list[i].Ended = map[jobs.State]int64{}
		places[list[i].Name] = &list[i]
	}
	for _, t := range a.Programs {
		if l := places[t.Program]; l != nil && t.State != "" {
			l.Ended[t.State] += t.N
		}
	}
	for _, q := range b.Programs {
		if l := places[q.Program]; l != nil {
			l.Queued, l.Running = q.Queued, q.Running
		}
	}
	return nil
}

type Programs struct {
	cfg     Config
	nodes   *Nodes
	list    FlightCache[api.Programs]
	details FlightCache[api.ProgramDetails]
}

func (r *Programs) Forget() {
	r.list.forget()
	r.details.forget()
}

func NewPrograms(cfg Config, nodes *Nodes) *Programs {
	return &Programs{cfg: cfg, nodes: nodes}
}
