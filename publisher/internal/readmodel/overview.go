package readmodel

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/health"
	"github.com/runnerbean/runnerbean/internal/ledger/activity"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/internal/ledger/listing"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

const (
	// overviewRows bounds the running jobs and the events of an overview.
	overviewRows = 12
	// overviewRunning is the number of running jobs among which those that end next are
	// sought.
	overviewRunning = 200
)

// Get returns the state of the whole pool, with the activity in a window of time. The answer
// is shared and must not be changed.
func (p *Overviews) Get(ctx context.Context, window string) (api.Overview, error) {
	s, ok := LookbackOf(window)
	if !ok {
		return api.Overview{}, httpio.BadParameter("range", BadRange)
	}
	return p.overviews.get(ctx, s.Name, s.age, func(ctx context.Context) (api.Overview, error) {
		return p.readOverview(ctx, s)
	})
}

// Body returns the overview of a window as JSON, at most a second old.
func (p *Overviews) Body(ctx context.Context, window string) ([]byte, error) {
	return p.bodies.get(ctx, window, nowAge, func(ctx context.Context) ([]byte, error) {
		o, err := p.Get(ctx, window)
		if err != nil {
			return nil, err
		}
		return httpio.Marshal(o)
	})
}

// Verdict returns the health of the pool, which every page shows at its top. It reads
// only what it needs, and nothing if there is a recent overview.
func (p *Overviews) Verdict(ctx context.Context) (api.Verdict, error) {
	if o, ok, _ := p.overviews.fresh(DefaultRange); ok {
		return o.Verdict, nil
	}
	return p.verdicts.get(ctx, "", nowAge, func(ctx context.Context) (api.Verdict, error) {
		o := p.newOverview()
		err := p.addParts(ctx, &o, lookback{}, p.addNodes, p.addQueue, p.addLastHour, p.addServers)
		return p.verdictOf(o), err
	})
}

func (p *Overviews) newOverview() api.Overview {
	return api.Overview{At: time.Now().UTC().Truncate(time.Millisecond), Node: p.cfg.Node}
}

// overviewPart adds something to an overview.
type overviewPart func(context.Context, *api.Overview, lookback) error

func (p *Overviews) addParts(ctx context.Context, o *api.Overview, s lookback, parts ...overviewPart) error {
	for _, add := range parts {
		if err := add(ctx, o, s); err != nil {
			return err
		}
	}
	return nil
}

func (p *Overviews) readOverview(ctx context.Context, s lookback) (api.Overview, error) {
	o := p.newOverview()
	err := p.addParts(ctx, &o, s,
		p.addCounts, p.addNodes, p.addQueue, p.addActivity, p.addRunning, p.addEvents, p.addServers)
	if err == nil {
		o.Verdict = p.verdictOf(o)
	}
	return o, err
}

func (p *Overviews) addServers(ctx context.Context, o *api.Overview, _ lookback) error {
	o.Servers = p.nodes.serversNow(ctx)
	if o.Servers == nil {
		o.Servers = []api.Server{}
	}
	return nil
}

func (p *Overviews) addCounts(ctx context.Context, o *api.Overview, _ lookback) error {
	counts, err := p.cfg.Ledger.Activity.Counts(ctx)
	o.Counts = map[jobs.State]int64{}
	for state, n := range counts {
		o.Counts[state] = int64(n)
	}
	return err
}

// addNodes adds the newest life of each node that has not left, and the slots of nodes that
// take work.
func (p *Overviews) addNodes(ctx context.Context, o *api.Overview, _ lookback) error {
	all, err := p.nodes.Now(ctx)
	if err != nil {
		return err
	}
	o.Nodes = health.Present(all)
	for _, n := range o.Nodes {
		if n.Alive && !n.Drained && !n.Control.Paused {
			o.Slots += health.Slots(n)
			o.Busy += n.Running
		}
	}
	return nil
}

// addRunning adds the running jobs that end next.
func (p *Overviews) addRunning(ctx context.Context, o *api.Overview, _ lookback) error {
	page, err := p.jobs.List(ctx, listing.Filter{State: jobs.Running, Limit: overviewRunning})
	if err != nil {
		return err
	}
	slices.SortStableFunc(page.Jobs, func(a, b jobs.Result) int { return cmp.Compare(rest(a, o.At), rest(b, o.At)) })
	o.Running = page.Jobs[:min(len(page.Jobs), overviewRows)]
	return nil
}

// rest estimates the seconds until a running job ends. A job that reports no progress comes
// after all that do.
func rest(r jobs.Result, now time.Time) float64 {
	const unknown = 1e12
	passed := now.Sub(r.Started).Seconds()
	if r.Progress == nil || *r.Progress <= 0 || *r.Progress > 1 || passed < 0 {
		return unknown - passed
	}
	return passed * (1 - *r.Progress) / *r.Progress
}

func (p *Overviews) addEvents(ctx context.Context, o *api.Overview, _ lookback) error {
	page, err := p.events.Page(ctx, eventlog.Filter{Limit: overviewRows})
	o.Events = page.Events
	return err
}

// verdictOf returns the verdict of o. It tells of the failed disk of this node, which
// is about to end.
func (p *Overviews) verdictOf(o api.Overview) api.Verdict {
	v := health.VerdictOf(o)
	if err := cmp.Or(p.cfg.Ledger.Err(), p.cfg.Store.Err()); err != nil {
		return health.WithDiskFailure(v, p.cfg.Node, err)
	}
	return v
}

func (p *Overviews) addQueue(ctx context.Context, o *api.Overview, _ lookback) error {
	drains, err := p.cfg.Drains(ctx)
	if err != nil {
		return err
	}
	b, err := p.cfg.Ledger.Backlog(ctx)
	if err != nil {
		return err
	}
	o.Queue = api.Queue{
		Queued: b.Queued, Scheduled: b.Scheduled, Waiting: b.Waiting, Oldest: b.Oldest, Drained: drains.Queue, Programs: []api.ProgramQueue{},
	}
	for _, q := range b.Programs {
		o.Queue.Programs = append(o.Queue.Programs, queueOf(q))
	}
	return p.addStuck(ctx, &o.Queue)
}

// addStuck adds the jobs that do not come to an end by themselves.
func (p *Overviews) addStuck(ctx context.Context, q *api.Queue) error {
	n, oldest, err := p.cfg.Ledger.Stuck.Missing(ctx)
	if err != nil {
		return err
	}
	if n > 0 {
		q.Missing = &api.MissingNeeds{Count: n, Job: oldest.Job, Need: oldest.Need, Since: oldest.Since}
	}
	n, most, err := p.cfg.Ledger.Stuck.Interrupted(ctx)
	if n > 0 {
		q.Interrupted = &api.Interrupted{Count: n, Job: most.Job, Times: most.Times, Longest: most.Longest.Seconds()}
	}
	return err
}

func (p *Overviews) addActivity(ctx context.Context, o *api.Overview, back lookback) error {
	a, err := p.cfg.Ledger.Activity.History(ctx, o.At.Add(-back.length), o.At, "")
	if err != nil {
		return err
	}
	o.Window = spanned(back, a)
	o.Ended, o.Failures, o.Unfinished = sums(a.Programs)
	o.FinishedByNode = lines(a, a.Nodes, o.At, func(t activity.Tally) string { return t.Node })
	o.FinishedByProgram = lines(a, a.Programs, o.At, func(t activity.Tally) string { return t.Program })
	o.Depth = depthLines(a.Depth)
	if back.length == time.Hour {
		o.LastHour, _, _ = sums(a.Programs)
		return nil
	}
	return p.addLastHour(ctx, o, back)
}

func (p *Overviews) addLastHour(ctx context.Context, o *api.Overview, _ lookback) error {
	hour, err := p.cfg.Ledger.Activity.History(ctx, o.At.Add(-time.Hour), o.At, "")
	o.LastHour, _, _ = sums(hour.Programs)
	return err
}

type Overviews struct {
	cfg       Config
	nodes     *Nodes
	jobs      *Jobs
	events    *Events
	overviews FlightCache[api.Overview]
	verdicts  FlightCache[api.Verdict]
	bodies    FlightCache[[]byte]
}

func (r *Overviews) Forget() {
	r.overviews.forget()
	r.verdicts.forget()
	r.bodies.forget()
}

func NewOverviews(cfg Config, nodes *Nodes, jobs *Jobs, events *Events) *Overviews {
	return &Overviews{cfg: cfg, nodes: nodes, jobs: jobs, events: events}
}
