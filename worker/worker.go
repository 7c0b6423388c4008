// Package worker runs jobs: each slot reserves a message, claims the job that
// it names in the ledger, fetches the job's inputs, runs its program, publishes
// the result and finishes the attempt. The message is only a hint; the ledger
// decides.
package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/outbound"
	"github.com/runnerbean/runnerbean/internal/panics"
	"github.com/runnerbean/runnerbean/worker/internal/process"
	"github.com/runnerbean/runnerbean/worker/internal/process/cgroup"
)

// Worker runs jobs in its slots.
type Worker struct {
	cfg        Config
	logger     *slog.Logger
	programs   *registry
	running    *running
	brake      *brake
	crew       *crew
	quarantine *quarantine
	gate       *process.PauseGate // of the running programs
	pausing    sync.Mutex         // for brake and gate to say the same
	readying   sync.Once
	usage      usage // of processors by the running programs
	backoff    backoff
	// inputBackoff is the wait for inputs that cannot be had yet.
	inputBackoff backoff
	fetcher      *fetcher
	scratch      *scratchFolder
	checks       *semaphore.Weighted // bytes of inputs in memory for checks
	panics       panics.Limit
}

// New checks the configuration and looks at the installed programs. It does
// not wait for beanstalkd.
func New(cfg Config) (*Worker, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	programs, err := newRegistry(cfg)
	if err != nil {
		return nil, fmt.Errorf("worker: programs folder: %w", err)
	}
	return &Worker{
		cfg: cfg, logger: cfg.Logger, programs: programs, running: newRunning(), brake: newBrake(), quarantine: newQuarantine(),
		crew: &crew{slots: cfg.Slots}, gate: process.NewPauseGate(),
		scratch:      newScratchFolder(cfg.Scratch, cfg.Logger),
		backoff:      backoff{base: cfg.BackoffBase, most: cfg.BackoffMax, jitter: cfg.Jitter},
		inputBackoff: backoff{base: 5 * cfg.BackoffBase, most: 3 * cfg.BackoffMax, jitter: cfg.Jitter},
		checks:       semaphore.NewWeighted(maxChecked),
		fetcher: &fetcher{
			client: outbound.NewClient(cfg.Outbound), timeout: cfg.FetchTimeout,
			backoff: backoff{base: min(cfg.BackoffBase, time.Second), most: 10 * time.Second, jitter: cfg.Jitter},
		},
	}, nil
}

// Programs are the valid programs that are installed now, by name.
func (w *Worker) Programs() []ledger.Program { return w.programs.current().list }

// Run takes work until take ends. Running jobs then go on for ShutdownGrace or
// until work ends, whichever is first; after that they are interrupted, which
// costs them nothing. Run returns when all of it has ended.
func (w *Worker) Run(take, work context.Context) error {
	defer w.fetcher.client.CloseIdleConnections()
	take, untake := context.WithCancel(take)
	defer untake()
	defer context.AfterFunc(work, untake)()
	work, interrupt := context.WithCancelCause(work)
	defer interrupt(nil)
	aside, stop := context.WithCancel(context.WithoutCancel(take))
	var watchers sync.WaitGroup
	watchers.Go(func() { w.programs.run(aside) })
	watchers.Go(func() { w.scratch.watch(aside) })
	watchers.Go(func() { w.watchRunning(aside) })
	watchers.Go(func() { w.shutDown(take, aside, interrupt) })
	err := w.open(take, work)
	if err != nil {
		untake()
	}
	<-take.Done()
	w.crew.close()
	stop()
	watchers.Wait()
	return err
}

// Hold keeps the worker from taking work while reason is not empty; what runs
// goes on. Nothing is claimed for a message that comes after Hold has returned.
// It may be called at any time, also before Run and by several at once.
func (w *Worker) Hold(reason string) {
	// A reason may change all the time, as with the room that is left on a disk.
	switch was := w.brake.set(&w.brake.held, reason); {
	case was != "" && reason == "":
		w.logger.Info("work is taken again", "node", w.cfg.Node)
	case was == "" && reason != "":
		w.logger.Warn("no work is taken", "node", w.cfg.Node, "reason", reason)
	}
}

// Pause keeps the worker from taking work, for a reason besides that of Hold,
// and has all running programs stand still until Resume: their clocks (timeout
// and stall) stand still too. What is to end, because it was cancelled or the
// worker ends, does so all the same. Both may be called at any time and by
// several at once; to pause twice is to pause once.
func (w *Worker) Pause(reason string) {
	w.pausing.Lock()
	defer w.pausing.Unlock()
	w.brake.set(&w.brake.paused, cmp.Or(reason, "paused"))
	if w.gate.Set(true) {
		w.logger.Warn("programs stand still and no work is taken", "node", w.cfg.Node, "reason", reason)
	}
}

// Resume ends a Pause.
func (w *Worker) Resume() {
	w.pausing.Lock()
	defer w.pausing.Unlock()
	w.brake.set(&w.brake.paused, "")
	if w.gate.Set(false) {
		w.logger.Info("programs go on", "node", w.cfg.Node)
	}
}

// Paused reports whether the worker is paused.
func (w *Worker) Paused() bool { return w.gate.Closed() }

// shutDown interrupts what still runs some time after take has ended, or at once
// where it stands still and so could not end in that time.
func (w *Worker) shutDown(take, aside context.Context, interrupt context.CancelCauseFunc) {
	<-take.Done()
	if w.Paused() || sleep(aside, w.cfg.ShutdownGrace) {
		interrupt(errInterrupted)
	}
}

// prepare clears up after an earlier life of this node, before the first lane.
func (w *Worker) prepare() { w.readying.Do(w.clearUp) }

func (w *Worker) clearUp() {
	if err := process.Subreap(); err != nil {
		w.logger.Debug("descendants that leave their process group cannot be followed", "err", err)
	}
	w.endLeftovers()
	w.scratch.sweep()
}

// endLeftovers ends the processes that an earlier life of this node left when
// it was killed. The lock on the data folder proves that none lives now.
func (w *Worker) endLeftovers() {
	if err := cgroup.Adopt(w.cfg.Scratch); err != nil {
		w.logger.Warn("processes of an earlier life of this node may be left", "err", err)
	}
	n, err := process.KillByEnvironment(context.Background(), scratchEntry(w.cfg.Scratch))
	if n > 0 {
		w.logger.Warn("processes that an earlier life of this node left were ended", "processes", n)
	}
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		w.logger.Warn("processes of an earlier life of this node may be left", "err", err)
	}
}

// Protect closes the memory and the environment of this process to the programs
// that it starts, where the kernel can: they run as the same user. Call it before
// Run.
func Protect() error { return process.Protect() }

// Isolation says, in a line or two for people, what keeps the descendants of a
// program together here and by what its limits are in force.
func Isolation() string { return cgroup.Probe().String() }
