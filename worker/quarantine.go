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
	// wholeNode is the weight of a job in quarantine. Any other job weighs 1.
	wholeNode = math.MaxInt64
	// quarantineDelay is how long a busy node delays the message of a job in quarantine,
	// so that an idle node may take it.
	quarantineDelay = 5 * time.Second
	// quarantineLook is how often a node that waits for the end of its other jobs checks
	// whether the job still needs it.
	quarantineLook = time.Second
)

// quarantine runs a job that was lost too often with its node while nothing else runs on
// this node: what the job does to the node harms no other job.
type quarantine struct {
	cfg  *Config
	gate *intakeGate

	beside *semaphore.Weighted // the jobs that are handled, from claim to end
	// exclusive is locked while a job runs alone, or is about to.
	exclusive sync.Mutex
	job       atomic.Pointer[api.Quarantine] // nil if there is none
}

func newQuarantine(c *Config, gate *intakeGate) *quarantine {
	return &quarantine{cfg: c, gate: gate, beside: semaphore.NewWeighted(wholeNode)}
}

// set keeps all executors from taking work because of a job, until clear.
func (q *quarantine) set(r *ledger.Record, running bool) {
	q.job.Store(&api.Quarantine{Job: r.ID, Running: running})
	q.gate.reserve(r.ID)
	q.cfg.Logger.Info("no other work is taken for a job that runs alone after it was lost with its node",
		"job", r.ID, "losses", r.Crashes, "running", running, "node", q.cfg.Node)
}

func (q *quarantine) clear() {
	q.job.Store(nil)
	q.gate.reserve("")
}

// emptyNode reports whether nothing else runs on this node. For a job that has been due for
// long it waits until all that runs has ended. If it returns true the caller releases
// wholeNode. The clocks of nodes may be hours apart; then the job has been due for long.
func (q *quarantine) emptyNode(take context.Context, message *queue.Delivery, r *ledger.Record) (bool, error) {
	if q.beside.TryAcquire(wholeNode) {
		return true, nil
	}
	if time.Since(r.Due).Abs() < q.cfg.quarantineAfter {
		return false, nil
	}
	q.set(r, false)
	wait, cancel := context.WithCancel(take)
	defer cancel()
	var watch sync.WaitGroup
	var err error
	watch.Go(func() {
		defer cancel()
		err = panics.Call(func() error { return q.waitWhileWanted(wait, message, r.ID) })
	})
	empty := q.beside.Acquire(wait, wholeNode) == nil
	cancel()
	watch.Wait()
	return empty, err
}

// waitWhileWanted keeps hold of the message, so that only one node waits for a job. It
// returns when the job does not need this node any more, when this node is to take no work,
// or when ctx ends.
func (q *quarantine) waitWhileWanted(ctx context.Context, message *queue.Delivery, id string) error {
	look, touch := time.NewTicker(quarantineLook), time.NewTicker(queue.TouchEvery)
	defer look.Stop()
	defer touch.Stop()
	for {
		closed, change := q.gate.closed()
		if closed {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-change.Done():
		case <-touch.C:
			if err := message.Touch(ctx); err != nil {
				return nil // the node that has the message now runs the job
			}
		case <-look.C:
			r, err := q.cfg.Ledger.Get(ctx, id)
			if err != nil && ctx.Err() == nil {
				return err
			}
			if err == nil && (r.State != jobs.Queued || !r.RunsAlone() || r.Wait(time.Now()) > 0) {
				return nil
			}
		}
	}
}
