package worker

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/panics"
	"github.com/runnerbean/runnerbean/internal/queue"
	"github.com/runnerbean/runnerbean/jobs"
)

const (
	// besideAll is the weight of a job in quarantine; any other job weighs 1.
	besideAll = math.MaxInt64
	// quarantineDelay is how long the message of a job in quarantine is put off by
	// a node that is busy, so that an idle one may take it.
	quarantineDelay = 5 * time.Second
	// quarantineAfter is how long such a job is due until a node stops taking work
	// for it.
	quarantineAfter = time.Minute
	// quarantineLook is how often a node that waits for the end of its other jobs
	// looks whether the job still needs it.
	quarantineLook = time.Second
)

// quarantine keeps a job that was lost too often with its node apart from all
// others: what it does to the node then harms nobody else.
type quarantine struct {
	beside *semaphore.Weighted // what is handled from claim to end
	// exclusive is locked while a job runs alone, or is about to.
	exclusive sync.Mutex
	job       atomic.Pointer[api.Quarantine]
}

func newQuarantine() *quarantine {
	return &quarantine{beside: semaphore.NewWeighted(besideAll)}
}

// Quarantine says which job keeps this node from taking others, and whether it
// runs already; nil where none does.
func (w *Worker) Quarantine() *api.Quarantine { return w.quarantine.job.Load() }

// isolate runs a job in quarantine, or puts its message off for other nodes.
func (l *lane) isolate(take, work context.Context, message *queue.Delivery, r ledger.Record, p *program) bool {
	if !l.quarantine.exclusive.TryLock() {
		l.release(work, message, r.Priority, l.spread(quarantineDelay))
		return true
	}
	defer l.quarantine.exclusive.Unlock()
	defer l.clearQuarantine()
	empty, err := l.empty(take, message, &r)
	if empty {
		defer l.quarantine.beside.Release(besideAll)
	}
	if err != nil {
		return l.refused(work, message, r.ID, err)
	}
	if stopped, _ := l.brake.stopped(); stopped || !empty || take.Err() != nil {
		l.release(work, message, r.Priority, l.spread(quarantineDelay))
		return true
	}
	l.setQuarantine(&r, true)
	claim, err := l.claim(work, r.ID, true, p)
	if err != nil {
		return l.refused(work, message, r.ID, err)
	}
	if !claim.OK {
		l.decline(work, message, claim.Record, claim.Alive)
		return true
	}
	return l.attempt(work, message, l.newAttempt(claim.Record, p))
}

// setQuarantine has all lanes take no work because of a job, until clearQuarantine.
func (l *lane) setQuarantine(r *ledger.Record, running bool) {
	l.quarantine.job.Store(&api.Quarantine{Job: r.ID, Running: running})
	l.brake.set(&l.brake.alone, r.ID)
	l.logger.Info("no other work is taken for a job that runs alone after it was lost with its node",
		"job", r.ID, "losses", r.Crashes, "running", running, "node", l.cfg.Node)
}

func (l *lane) clearQuarantine() {
	l.quarantine.job.Store(nil)
	l.brake.set(&l.brake.alone, "")
}

// empty makes sure that nothing else runs on this node, and reports whether it
// could: at once on an idle node, or for a job that has been due for long, when
// all that runs has ended. The clocks of nodes may be hours apart; then it has
// been due for long.
func (l *lane) empty(take context.Context, message *queue.Delivery, r *ledger.Record) (bool, error) {
	if l.quarantine.beside.TryAcquire(besideAll) {
		return true, nil
	}
	if time.Since(r.Due).Abs() < l.cfg.quarantineAfter {
		return false, nil
	}
	l.setQuarantine(r, false)
	wait, cancel := context.WithCancel(take)
	defer cancel()
	var watch sync.WaitGroup
	var err error
	watch.Go(func() {
		defer cancel()
		err = panics.Call(func() error { return l.wanted(wait, message, r.ID) })
	})
	empty := l.quarantine.beside.Acquire(wait, besideAll) == nil
	cancel()
	watch.Wait()
	return empty, err
}

// wanted returns when a job need not wait for this node any more, because another
// one has it or a person wants something else, when the node is to take no work
// at all, or when ctx ends. Meanwhile it keeps hold of the message, so that only
// one node stands still for a job.
func (l *lane) wanted(ctx context.Context, message *queue.Delivery, id string) error {
	look, touch := time.NewTicker(quarantineLook), time.NewTicker(queue.TouchEvery)
	defer look.Stop()
	defer touch.Stop()
	for {
		held, turn := l.brake.stopped()
		if held {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-turn.Done():
		case <-touch.C:
			if err := message.Touch(ctx); err != nil {
				return nil // the node that has the message now runs the job
			}
		case <-look.C:
			r, err := l.cfg.Ledger.Get(ctx, id)
			if err != nil && ctx.Err() == nil {
				return err
			}
			if err == nil && (r.State != jobs.Queued || !r.RunsAlone() || r.Wait(time.Now()) > 0) {
				return nil
			}
		}
	}
}
