package worker

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/runnerbean/runnerbean/worker/internal/checkpoint"
	"github.com/runnerbean/runnerbean/worker/internal/fault"
	"github.com/runnerbean/runnerbean/worker/internal/process"
)

// askEvery is how often the ledger is asked which attempts are to be stopped. A person may
// have asked for that on another node.
const askEvery = time.Second

// attemptKey identifies an attempt. A node that was suspended may run two of one job.
type attemptKey struct {
	id      string
	attempt int
}

// runningAttempts are the attempts of this instance that may be stopped.
type runningAttempts struct {
	mu      sync.Mutex
	all     map[attemptKey]*attempt
	changed chan struct{} // the ledger has changed one of their jobs
}

func newRunningAttempts() *runningAttempts {
	return &runningAttempts{all: map[attemptKey]*attempt{}, changed: make(chan struct{}, 1)}
}

func (r *runningAttempts) add(a *attempt) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all[attemptKey{a.record.ID, a.record.Attempt}] = a
}

func (r *runningAttempts) remove(a *attempt) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.all, attemptKey{a.record.ID, a.record.Attempt})
}

func (r *runningAttempts) get(k attemptKey) *attempt {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.all[k]
}

func (r *runningAttempts) list() []*attempt {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Values(r.all))
}

// onChange gets the ids of jobs that the ledger has changed.
func (r *runningAttempts) onChange(ids []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for k := range r.all {
		if slices.Contains(ids, k.id) {
			select {
			case r.changed <- struct{}{}:
			default:
			}
			return
		}
	}
}

// stopWatcher stops the running attempts that a person wants stopped, and those that are
// not the newest of their jobs. It makes programs save on request.
type stopWatcher struct {
	cfg     *Config
	running *runningAttempts
	others  *otherNodes
	pause   *process.PauseGate
	panics  *panicRecorder
}

// saveAsked passes on to programs that a person, or the drain of this node, wants a checkpoint. In
// a pause they stand still, and would not answer.
func (w *stopWatcher) saveAsked(ctx context.Context, list []*attempt) {
	if w.cfg.Checkpoints == nil || w.pause.Closed() {
		return
	}
	var ids []string
	able, programs := false, w.others.programs.Current().Programs
	for _, a := range list {
		if k := a.keeper.Load(); k != nil {
			// People are told what the program is that is installed now.
			p := programs[a.record.Program]
			ids, able = append(ids, a.record.ID), able || k.Able() || p != nil && p.About.Checkpoint
		}
	}
	if !able {
		return
	}
	requests, err := w.cfg.Checkpoints.Requests(ctx, ids)
	if err != nil && ctx.Err() == nil {
		w.cfg.Logger.Warn("cannot ask which checkpoints are wanted", "err", err)
	}
	for _, r := range requests {
		a := w.running.get(attemptKey{r.Job, r.Attempt})
		if a == nil || a.keeper.Load() == nil {
			continue
		}
		if err := a.keeper.Load().Serve(ctx, r); err != nil && ctx.Err() == nil {
			a.logger.Warn("the request for a checkpoint is not answered yet", "err", err)
		}
	}
	w.handOver(ctx, list)
}

// handOver makes programs of a drained node save, and interrupts those that have: their jobs go
// on from there on other nodes. A program that does not save on request runs to its end.
func (w *stopWatcher) handOver(ctx context.Context, list []*attempt) {
	since, err := w.others.drained(ctx, w.cfg.Node)
	if err != nil && ctx.Err() == nil {
		w.cfg.Logger.Warn("cannot ask whether this node is drained", "err", err)
	}
	if err != nil || since.IsZero() {
		return
	}
	elsewhere, err := w.others.free(ctx)
	if err != nil {
		w.cfg.Logger.Warn("cannot ask which nodes can go on with the jobs of this one", "err", err)
		return
	}
	for _, a := range list {
		k := a.keeper.Load()
		if !k.Able() || !elsewhere[a.record.Program] || a.stop.ctx.Err() != nil {
			continue
		}
		switch state, why := k.Request(checkpoint.Drain, since.String()); state {
		case checkpoint.Saved:
			if a.run.handle.Running() { // else its result is being published
				a.stop.cancel(errDrained)
			}
		case checkpoint.NotSaved:
			a.once.Do(func() {
				a.logger.Warn("the node is drained, and a program has not saved a checkpoint: it runs on", "err", why)
			})
		case checkpoint.Waiting:
		}
	}
}

// run watches until ctx ends.
func (w *stopWatcher) run(ctx context.Context) {
	defer w.cfg.Ledger.OnChange(w.running.onChange)()
	ticker := time.NewTicker(askEvery)
	defer ticker.Stop()
	checked := wallClock()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-w.running.changed:
		}
		w.panics.safely(ctx, "", "stop", func() { checked = w.stopSome(ctx, checked) })
	}
}

// stopSome stops attempts. It returns the time of the last question whether attempts are
// stale; checked is the time before.
func (w *stopWatcher) stopSome(ctx context.Context, checked time.Time) time.Time {
	list := w.running.list()
	if len(list) == 0 {
		return checked
	}
	w.stopAsked(ctx, list)
	w.saveAsked(ctx, list)
	// The wall clock goes on while a machine sleeps. If it is set, the ledger is asked
	// once too often.
	if d := wallClock().Sub(checked); d < 0 || d >= w.cfg.holdsEvery {
		checked = wallClock()
		w.stopStale(ctx, list)
	}
	return checked
}

func wallClock() time.Time { return time.Now().Round(0) }

// stopAsked stops the attempts that a person wants stopped.
func (w *stopWatcher) stopAsked(ctx context.Context, running []*attempt) {
	ids := make([]string, len(running))
	for i, a := range running {
		ids[i] = a.record.ID
	}
	list, err := w.cfg.Ledger.Cancelling(ctx, ids)
	if err != nil && ctx.Err() == nil {
		w.cfg.Logger.Warn("cannot ask which jobs are to be stopped", "err", err)
	}
	for _, s := range list {
		if a := w.running.get(attemptKey{s.ID, s.Attempt}); a != nil {
			a.stop.obey(s.Verb)
		}
	}
}

// stopStale stops attempts that the ledger has given up.
func (w *stopWatcher) stopStale(ctx context.Context, list []*attempt) {
	for _, a := range list {
		err := w.cfg.Ledger.Holds(ctx, a.record.ID, a.record.Attempt)
		switch {
		case fault.IsStale(err):
			a.stop.cancel(fault.ErrStale)
		case err != nil && ctx.Err() == nil:
			a.logger.Warn("cannot ask whether an attempt is still the newest", "err", err)
			return
		}
	}
}
