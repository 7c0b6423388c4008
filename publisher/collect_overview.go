package publisher

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/health"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/internal/ledger/listing"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

const (
	// overviewRows is how many running jobs and events an overview shows.
	overviewRows = 12
	// overviewRunning is among how many running jobs those are looked for that
	// end next.
	overviewRunning = 200
	badRange        = "is one of 15m, 1h, 6h, 24h, 7d, 30d"
)

// lookback is a length of time that an overview may look back.
type lookback struct {
	name   string
	length time.Duration
	age    time.Duration // how old its picture may be
}

var lookbacks = []lookback{
	{"15m", 15 * time.Minute, time.Second},
	{"1h", time.Hour, time.Second},
	{"6h", 6 * time.Hour, 2 * time.Second},
	{"24h", 24 * time.Hour, 5 * time.Second},
	{"7d", 7 * 24 * time.Hour, 15 * time.Second},
	{"30d", 30 * 24 * time.Hour, 30 * time.Second},
}

const defaultRange = "1h"

// lookbackOf is one by its name; the default one has none.
func lookbackOf(name string) (lookback, bool) {
	i := slices.IndexFunc(lookbacks, func(s lookback) bool { return s.name == cmp.Or(name, defaultRange) })
	if i < 0 {
		return lookback{}, false
	}
	return lookbacks[i], true
}

// overview is how the whole pool stands, with what was done in a window of
// time. The answer is shared and must not be changed.
func (p *Publisher) overview(ctx context.Context, window string) (api.Overview, error) {
	s, ok := lookbackOf(window)
	if !ok {
		return api.Overview{}, httpio.BadParameter("range", badRange)
	}
	return p.collected.overviews.get(ctx, s.name, s.age, func(ctx context.Context) (api.Overview, error) {
		return p.readOverview(ctx, s)
	})
}

// verdictNow is the judgement of the pool, for the top of every page. It reads no
// more than it takes, and nothing where there is an overview.
func (p *Publisher) verdictNow(ctx context.Context) (api.Verdict, error) {
	if o, ok, _ := p.collected.overviews.fresh(defaultRange); ok {
		return o.Verdict, nil
	}
	return p.collected.verdicts.get(ctx, "", nowAge, func(ctx context.Context) (api.Verdict, error) {
		o := p.newOverview()
		err := p.addParts(ctx, &o, lookback{}, p.addNodes, p.addQueue, p.addLastHour, p.addServers)
		return p.verdictOf(o), err
	})
}

func (p *Publisher) newOverview() api.Overview {
	return api.Overview{At: time.Now().UTC().Truncate(time.Millisecond), Node: p.cfg.Node}
}

// overviewPart adds something to an overview.
type overviewPart func(context.Context, *api.Overview, lookback) error

func (p *Publisher) addParts(ctx context.Context, o *api.Overview, s lookback, parts ...overviewPart) error {
	for _, add := range parts {
		if err := add(ctx, o, s); err != nil {
			return err
		}
	}
	return nil
}

func (p *Publisher) readOverview(ctx context.Context, s lookback) (api.Overview, error) {
	o := p.newOverview()
	err := p.addParts(ctx, &o, s,
		p.addCounts, p.addNodes, p.addQueue, p.addActivity, p.addRunning, p.addEvents, p.addServers)
	if err == nil {
		o.Verdict = p.verdictOf(o)
	}
	return o, err
}

func (p *Publisher) addServers(ctx context.Context, o *api.Overview, _ lookback) error {
	o.Servers = p.serversNow(ctx)
	if o.Servers == nil {
		o.Servers = []api.Server{}
	}
	return nil
}

func (p *Publisher) addCounts(ctx context.Context, o *api.Overview, _ lookback) error {
	counts, err := p.cfg.Ledger.Activity.Counts(ctx)
	o.Counts = map[jobs.State]int64{}
	for state, n := range counts {
		o.Counts[state] = int64(n)
	}
	return err
}

// addNodes adds the newest life of each node that has not left, and the slots
// of those that take work.
func (p *Publisher) addNodes(ctx context.Context, o *api.Overview, _ lookback) error {
	all, err := p.nodesNow(ctx)
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
func (p *Publisher) addRunning(ctx context.Context, o *api.Overview, _ lookback) error {
	page, err := p.list(ctx, listing.Filter{State: jobs.Running, Limit: overviewRunning})
	if err != nil {
		return err
	}
	slices.SortStableFunc(page.Jobs, func(a, b jobs.Result) int { return cmp.Compare(rest(a, o.At), rest(b, o.At)) })
	o.Running = page.Jobs[:min(len(page.Jobs), overviewRows)]
	return nil
}

// rest estimates the seconds that a running job still takes; one that says
// nothing of its progress comes after all that do.
func rest(r jobs.Result, now time.Time) float64 {
	const unknown = 1e12
	passed := now.Sub(r.Started).Seconds()
	if r.Progress == nil || *r.Progress <= 0 || *r.Progress > 1 || passed < 0 {
		return unknown - passed
	}
	return passed * (1 - *r.Progress) / *r.Progress
}

func (p *Publisher) addEvents(ctx context.Context, o *api.Overview, _ lookback) error {
	page, err := p.eventPage(ctx, eventlog.Filter{Limit: overviewRows})
	o.Events = page.Events
	return err
}

// verdictOf returns the verdict of o. It tells of the failed disk of this node, which
// is about to end.
func (p *Publisher) verdictOf(o api.Overview) api.Verdict {
	v := health.VerdictOf(o)
	if err := cmp.Or(p.cfg.Ledger.Err(), p.cfg.Store.Err()); err != nil {
		return health.WithDiskFailure(v, p.cfg.Node, err)
	}
	return v
}
