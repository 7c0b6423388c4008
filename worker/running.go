package worker

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/panics"
)

const (
	// askEvery is how often the ledger is asked which attempts are to be stopped,
	// for a person may have said so on another node.
	askEvery = time.Second
	// holdsEvery is how often it is asked whether attempts are still their jobs'
	// newest. One whose node was away for too long is not.
	holdsEvery = 5 * time.Second
)

// run is one attempt of one job. A node that was away may run two of one job.
type run struct {
	id      string
	attempt int
}

// running holds the attempts of this instance while their programs may be
// stopped.
type running struct {
	mu   sync.Mutex
	all  map[run]*attempt
	poke chan struct{}
}

func newRunning() *running {
	return &running{all: map[run]*attempt{}, poke: make(chan struct{}, 1)}
}

func (a *attempt) key() run { return run{a.record.ID, a.record.Attempt} }

func (r *running) add(a *attempt) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all[a.key()] = a
}

func (r *running) remove(a *attempt) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.all, a.key())
}

func (r *running) get(k run) *attempt {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.all[k]
}

func (r *running) list() []*attempt {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Values(r.all))
}

// changed is told the ids of jobs that the ledger has changed.
func (r *running) changed(ids []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for k := range r.all {
		if slices.Contains(ids, k.id) {
			select {
			case r.poke <- struct{}{}:
			default:
			}
			return
		}
	}
}

// watchRunning stops the attempts that are to be stopped, until ctx ends.
func (w *Worker) watchRunning(ctx context.Context) {
	defer w.cfg.Ledger.OnChange(w.running.changed)()
	ticker := time.NewTicker(askEvery)
	defer ticker.Stop()
	checked := wallClock()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-w.running.poke:
		}
		if caught := panics.Catch(func() { checked = w.stopSome(ctx, checked) }); caught != nil {
			w.caught(ctx, "", "stop", caught)
		}
	}
}

// stopSome stops the attempts that are to be stopped now. checked is when it was
// last asked whether attempts are stale.
func (w *Worker) stopSome(ctx context.Context, checked time.Time) time.Time {
	list := w.running.list()
	if len(list) == 0 {
		return checked
	}
	w.stopAsked(ctx)
	// The wall clock also goes on while a machine sleeps. A step of it costs
	// no more than asking once too often.
	if d := wallClock().Sub(checked); d < 0 || d >= w.cfg.holdsEvery {
		checked = wallClock()
		w.stopStale(ctx, list)
	}
	return checked
}

func wallClock() time.Time { return time.Now().Round(0) }

// stopAsked does what persons have asked for.
func (w *Worker) stopAsked(ctx context.Context) {
	list, err := w.cfg.Ledger.Cancelling(ctx, w.cfg.Instance)
	if err != nil && ctx.Err() == nil {
		w.logger.Warn("cannot ask which jobs are to be stopped", "err", err)
	}
	for _, s := range list {
		if a := w.running.get(run{s.ID, s.Attempt}); a != nil {
			a.obey(s.Verb)
		}
	}
}

// stopStale stops attempts that the ledger has given up.
func (w *Worker) stopStale(ctx context.Context, list []*attempt) {
	for _, a := range list {
		err := w.cfg.Ledger.Holds(ctx, a.record.ID, a.record.Attempt)
		switch {
		case stale(err):
			a.cancel(errStale)
		case err != nil && ctx.Err() == nil:
			a.logger.Warn("cannot ask whether an attempt is still the newest", "err", err)
			return
		}
	}
}

// stale reports whether the ledger says that an attempt is not the newest of a
// job that runs.
func stale(err error) bool {
	return errors.Is(err, ledger.ErrStale) || errors.Is(err, ledger.ErrUnknown)
}
