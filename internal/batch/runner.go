// Package batch runs batches: jobs of the program jobs.BatchProgram. It makes the jobs of the
// frames, waits for their ends, and ends the batch. The ledger says which node runs a batch, as
// for any job: another node takes it up if its node ends, and finds in the ledger what is done.
package batch

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/panics"
	"github.com/runnerbean/runnerbean/internal/retry"
)

const (
	// maxRuns is the largest number of batches that a node runs at once. Others wait.
	maxRuns = 64
	// takeTimeout bounds what a look for batches asks of the ledger.
	takeTimeout = 30 * time.Second
	// sweepSpan is how long after its end the open frames of a cancelled batch are cancelled,
	// and sweepEvery how often.
	sweepSpan  = time.Hour
	sweepEvery = 10 * time.Second
)

// Runner runs batches.
type Runner struct {
	cfg   Config
	owner ledger.Owner
	files *semaphore.Weighted // files with frames, in bytes, of maxHeld
	swept time.Time

	mu      sync.Mutex
	held    string // why no batch runs here; guarded by mu
	runs    map[string]*run
	release context.CancelFunc // ends the runs; guarded by mu
	running context.Context    // of the runs; guarded by mu
	group   sync.WaitGroup
}

// New returns a Runner. It runs nothing before Run.
func New(cfg Config) *Runner {
	cfg.Interval = cmp.Or(cfg.Interval, time.Second)
	cfg.Logger = cmp.Or(cfg.Logger, slog.Default())
	return &Runner{
		cfg: cfg, owner: ledger.Owner{Instance: cfg.Instance, Node: cfg.Node}, files: semaphore.NewWeighted(maxHeld), runs: map[string]*run{},
		held: "the node starts",
	}
}

// Hold gives up the batches that run here, so that other nodes take them up, and takes no more
// until a call with "".
func (r *Runner) Hold(reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held = reason
	if reason != "" && r.release != nil {
		r.release()
		r.release = nil
	}
}

// Run runs batches until ctx ends. It returns when the ledger knows that they do not run here
// any more.
func (r *Runner) Run(ctx context.Context) error {
	defer r.group.Wait()
	defer r.Hold("the node ends")
	remove := r.cfg.Ledger.OnChange(r.changed)
	defer remove()
	for {
		if err := panics.Call(func() error { return r.look(ctx) }); err != nil && ctx.Err() == nil {
			r.cfg.Logger.Warn("cannot look for batches", "node", r.cfg.Node, "err", err)
		}
		if !retry.Sleep(ctx, r.cfg.Interval) {
			return nil
		}
	}
}

// changed wakes the runs. It is called after each commit of this process.
func (r *Runner) changed([]string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, one := range r.runs {
		one.wakeUp()
	}
}

// look takes batches that are due, and cancels what cancelled batches have left.
func (r *Runner) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, takeTimeout)
	defer cancel()
	free := r.free()
	if free <= 0 {
		return nil
	}
	if time.Since(r.swept) > sweepEvery {
		r.swept = time.Now()
		if err := r.sweep(ctx); err != nil {
			return err
		}
	}
	due, err := r.cfg.Ledger.Batches.Due(ctx, free)
	if err != nil {
		return err
	}
	for _, id := range due {
		claim, err := r.cfg.Ledger.Claim(ctx, id, r.owner, "")
		if errors.Is(err, ledger.ErrUnknown) {
			continue
		}
		if err != nil {
			return err
		}
		if claim.OK {
			r.start(ctx, claim.Record)
		}
	}
	return nil
}

// free returns how many more batches may run here.
func (r *Runner) free() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held != "" {
		return 0
	}
	return maxRuns - len(r.runs)
}

// start runs a batch that was claimed.
func (r *Runner) start(ctx context.Context, record ledger.Record) {
	one := &run{cfg: r.cfg, record: record, wake: make(chan struct{}, 1), held: held{room: r.files}}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.release == nil {
		r.running, r.release = context.WithCancel(context.WithoutCancel(ctx))
	}
	running := r.running
	if r.held != "" { // since free was asked
		r.release()
		r.release = nil
	}
	r.runs[record.ID] = one
	r.group.Go(func() {
		defer func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			delete(r.runs, record.ID)
		}()
		one.serve(running)
	})
}

// sweep cancels the open frames of batches that were cancelled while no node ran them.
func (r *Runner) sweep(ctx context.Context) error {
	list, err := r.cfg.Ledger.Batches.Cancelled(ctx, time.Now().Add(-sweepSpan), maxRuns)
	for _, id := range list {
		if err == nil {
			_, err = cancelFrames(ctx, &r.cfg, id, ledger.VerbCancel)
		}
	}
	return err
}
