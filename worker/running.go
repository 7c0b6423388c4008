package worker

import (
	"context"
	"sync"
	"time"
)

// cancelEvery is how often the ledger is asked whose end is wanted, for that
// may have been asked for on another node.
const cancelEvery = time.Second

// running holds the attempts of this instance while their programs may be
// stopped.
type running struct {
	mu   sync.Mutex
	all  map[string]*attempt
	poke chan struct{}
}

func newRunning() *running {
	return &running{all: map[string]*attempt{}, poke: make(chan struct{}, 1)}
}

func (r *running) add(a *attempt) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all[a.record.ID] = a
}

func (r *running) remove(a *attempt) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all[a.record.ID] == a {
		delete(r.all, a.record.ID)
	}
}

func (r *running) get(id string) *attempt {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.all[id]
}

func (r *running) none() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.all) == 0
}

// changed is told the ids of jobs that the ledger has changed.
func (r *running) changed(ids []string) {
	for _, id := range ids {
		if r.get(id) != nil {
			select {
			case r.poke <- struct{}{}:
			default:
			}
			return
		}
	}
}

// watchCancels stops the attempts whose end is asked for, until ctx ends.
func (w *Worker) watchCancels(ctx context.Context) {
	defer w.cfg.Ledger.OnChange(w.running.changed)()
	ticker := time.NewTicker(cancelEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-w.running.poke:
		}
		if w.running.none() {
			continue
		}
		list, err := w.cfg.Ledger.Cancelling(ctx, w.cfg.Instance)
		if err != nil && ctx.Err() == nil {
			w.logger.Warn("cannot ask which jobs are to be cancelled", "err", err)
		}
		for _, s := range list {
			if a := w.running.get(s.ID); a != nil {
				a.cancel(errCancelled)
			}
		}
	}
}
