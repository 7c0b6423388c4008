// Package worker runs jobs. Each slot reserves a message, claims the job that it names in
// the ledger, fetches the job's inputs, runs its program, publishes the result and finishes
// the attempt. The message is only a hint; the ledger decides.
package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/internal/outbound"
	"github.com/runnerbean/runnerbean/internal/retry"
	"github.com/runnerbean/runnerbean/worker/internal/counting"
	"github.com/runnerbean/runnerbean/worker/internal/input"
	"github.com/runnerbean/runnerbean/worker/internal/process"
	"github.com/runnerbean/runnerbean/worker/internal/process/cgroup"
	"github.com/runnerbean/runnerbean/worker/internal/program"
	"github.com/runnerbean/runnerbean/worker/internal/publish"
	"github.com/runnerbean/runnerbean/worker/internal/stream"
	"github.com/runnerbean/runnerbean/worker/internal/trouble"
	"github.com/runnerbean/runnerbean/worker/internal/unreported"
	"github.com/runnerbean/runnerbean/worker/internal/workdir"
)

// Worker runs jobs in its slots.
type Worker struct {
	cfg        Config
	programs   *program.Registry
	slots      *slots
	running    *runningAttempts
	stops      *stopWatcher
	others     *otherNodes
	gate       *intakeGate
	quarantine *quarantine
	trouble    *trouble.Trouble
	client     *http.Client // for inputs
	fetcher    *input.Fetcher
	scratch    *workdir.Root
	usage      processUsage // of processors by the running programs
	pause      *process.PauseGate
	streams    *stream.Pool       // processes of stream programs
	counting   *counting.Counting // nil for none
	unreported unreported.Folder
	pausing    sync.Mutex // keeps gate and pause the same
	prepared   sync.Once
}

// New checks the configuration and looks at the installed programs. It does not wait for
// beanstalkd.
func New(cfg Config) (*Worker, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	w := &Worker{
		cfg: cfg, running: newRunningAttempts(), gate: newIntakeGate(), pause: process.NewPauseGate(), client: outbound.NewClient(cfg.Outbound),
		scratch: workdir.NewRoot(cfg.Scratch, cfg.Logger),
	}
	w.programs, err = program.NewRegistry(program.Config{
		Folder: cfg.Programs, Every: cfg.scanEvery, OnChange: cfg.OnPrograms, Logger: cfg.Logger,
		Tube: cfg.tube,
	})
	if err != nil {
		return nil, fmt.Errorf("worker: programs folder: %w", err)
	}
	w.fetcher = input.NewFetcher(input.Config{
		Client: w.client, Timeout: cfg.FetchTimeout, MaxInput: cfg.MaxInput, MaxFiles: cfg.MaxFiles,
		Jobs: cfg.Ledger, Results: cfg.Published, Objects: cfg.Store, Packages: cfg.Packages,
		Backoff: retry.Backoff{Base: min(cfg.BackoffBase, time.Second), Max: 10 * time.Second, Jitter: cfg.Jitter},
	})
	w.streams = stream.New(stream.Config{
		Root: w.scratch, Slots: w.Slots, Logger: cfg.Logger,
		Installed: func(name string) *program.Program { return w.programs.Current().Programs[name] },
	})
	if cfg.Counters != nil {
		w.counting = counting.New(counting.Config{Ledger: cfg.Counters, Node: cfg.Node, Logger: cfg.Logger, OnCount: cfg.OnCounted})
	}
	if w.unreported, err = reportLeft(&cfg); err != nil {
		return nil, fmt.Errorf("worker: folder of ends that are not recorded: %w", err)
	}
	recorder := &panicRecorder{node: cfg.Node, events: cfg.Events, logger: cfg.Logger}
	w.others = &otherNodes{instance: cfg.Instance, nodes: cfg.Nodes, programs: w.programs}
	w.stops = &stopWatcher{cfg: &w.cfg, running: w.running, others: w.others, pause: w.pause, panics: recorder}
	w.trouble = trouble.New(trouble.Config{
		Node: cfg.Node, Backoff: retry.Backoff{Base: cfg.BackoffBase, Max: maxTroubleWait, Jitter: cfg.Jitter},
		OnChange: func(in bool) { w.gate.inTrouble(in); cfg.OnTrouble() }, Logger: cfg.Logger,
	})
	w.quarantine = newQuarantine(&w.cfg, w.gate)
	w.slots = &slots{node: cfg.Node, logger: cfg.Logger, count: cfg.Slots, prepare: func() { w.prepared.Do(w.prepare) }}
	handler := w.newHandler(recorder)
	w.slots.newExecutor = func(taken chan struct{}) (*executor, error) {
		return w.newExecutor(handler, taken)
	}
	return w, nil
}

// newHandler returns what all executors share.
func (w *Worker) newHandler(recorder *panicRecorder) *jobHandler {
	cfg := &w.cfg
	backoff := retry.Backoff{Base: cfg.BackoffBase, Max: cfg.BackoffMax, Jitter: cfg.Jitter}
	inputBackoff := retry.Backoff{Base: 5 * cfg.BackoffBase, Max: 3 * cfg.BackoffMax, Jitter: cfg.Jitter}
	ack := &messageAck{ledger: cfg.Ledger, jitter: cfg.Jitter, logger: cfg.Logger}
	return &jobHandler{
		cfg: cfg, programs: w.programs, gate: w.gate, quarantine: w.quarantine, running: w.running,
		runner: &runner{
			cfg: cfg, programs: w.programs, others: w.others, fetcher: w.fetcher, pause: w.pause, slots: w.Slots, panics: recorder,
			streams: w.streams, scratch: w.scratch, counting: w.counting,
		},
		finisher: &finisher{cfg: cfg, backoff: backoff, inputBackoff: inputBackoff, panics: recorder, unreported: w.unreported},
		publish: &publish.Config{
			Node: cfg.Node, BaseURL: cfg.BaseURL, Store: cfg.Store, Ledger: cfg.Ledger, Results: cfg.Results, Events: cfg.Events, Backoff: backoff, MaxFiles: cfg.MaxFiles,
			LedgerResults: cfg.LedgerResults,
		},
		ack: ack, others: w.others, panics: recorder, trouble: w.trouble,
		swap:  &messageSwap{ledger: cfg.Ledger, scheduled: newScheduled(cfg.Queues), programs: w.programs, ack: ack, logger: cfg.Logger, atStage: cfg.atStage},
		turns: newTurns(cfg, w.programs, ack),
	}
}

// newExecutor returns an executor for a slot.
func (w *Worker) newExecutor(handler *jobHandler, taken chan struct{}) (*executor, error) {
	source, err := openSource(w.cfg.Queue)
	if err != nil {
		return nil, err
	}
	return &executor{
		resources: resources{scratch: w.scratch.NewScratch(), slot: taken}, source: source,
		programs: w.programs, gate: w.gate, trouble: w.trouble, handler: handler, panics: handler.panics, logger: w.cfg.Logger, onPause: w.cfg.onPause,
		backoff: retry.Backoff{Base: troubleBackoff, Max: maxLedgerWait, Jitter: w.cfg.Jitter},
	}, nil
}

// Run takes work until take ends. Running jobs then go on for ShutdownGrace or until work
// ends, whichever is first. After that they are interrupted, which costs them nothing. Run
// returns when all of them have ended.
func (w *Worker) Run(take, work context.Context) error {
	defer w.client.CloseIdleConnections()
	take, untake := context.WithCancel(take)
	defer untake()
	defer context.AfterFunc(work, untake)()
	work, interrupt := context.WithCancelCause(work)
	defer interrupt(nil)
	watch, stop := context.WithCancel(context.WithoutCancel(take))
	var watchers sync.WaitGroup
	watchers.Go(func() { w.programs.Run(watch) })
	watchers.Go(func() { w.scratch.Watch(watch) })
	watchers.Go(func() { w.stops.run(watch) })
	watchers.Go(func() { w.streams.Run(take, work) })
	if w.counting != nil {
		watchers.Go(func() { w.counting.Run(watch) })
	}
	watchers.Go(func() { w.interruptAfterGrace(take, watch, interrupt) })
	err := w.slots.open(take, work)
	if err != nil {
		untake()
	}
	<-take.Done()
	w.slots.close()
	w.streams.Close()
	stop()
	watchers.Wait()
	return err
}

// interruptAfterGrace interrupts what still runs ShutdownGrace after take has ended. If
// the programs are paused it does so at once: they could not end in that time.
func (w *Worker) interruptAfterGrace(take, watch context.Context, interrupt context.CancelCauseFunc) {
	<-take.Done()
	if w.Paused() || retry.Sleep(watch, w.cfg.ShutdownGrace) {
		interrupt(errInterrupted)
	}
}

// prepare clears up after an earlier life of this node, before the first executor starts.
func (w *Worker) prepare() {
	if err := process.Subreap(); err != nil {
		w.cfg.Logger.Debug("descendants that leave their process group cannot be followed", "err", err)
	}
	w.endLeftovers()
	w.scratch.Sweep()
}

// endLeftovers ends the processes that an earlier life of this node left when it was
// killed. The lock on the data folder proves that no other life runs now.
func (w *Worker) endLeftovers() {
	if err := cgroup.Adopt(w.cfg.Scratch); err != nil {
		w.cfg.Logger.Warn("processes of an earlier life of this node may be left", "err", err)
	}
	n, err := process.KillByEnvironment(context.Background(), scratchEntry(w.cfg.Scratch))
	if n > 0 {
		w.cfg.Logger.Warn("processes that an earlier life of this node left were ended", "processes", n)
	}
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		w.cfg.Logger.Warn("processes of an earlier life of this node may be left", "err", err)
	}
}

// Programs returns the valid programs that are installed now, by name.
func (w *Worker) Programs() []nodes.Program { return w.programs.Current().List }

// Reload checks all installed programs again, also those that look unchanged, and logs
// what has come of it. It does not wait for that. It needs Run.
func (w *Worker) Reload() { w.programs.CheckAll() }

// Slots returns how many programs may run at the same time now.
func (w *Worker) Slots() int { return w.slots.number() }

// Busy returns the number of running slots, including slots being removed. An executor
// that waits for a job takes a slot, too, and an attempt may go on after it has left its
// slot, so it is the smaller of the two numbers.
func (w *Worker) Busy() int { return min(w.slots.taken(), len(w.running.list())) }

// SetSlots changes how many programs may run at the same time, from 0 to api.MaxSlots. What
// runs in a slot that is removed goes on to its end. It may be called at any time, also
// before Run and by several goroutines. The error is ErrSlots, or why an executor cannot
// start: then the others work, and another call tries again.
func (w *Worker) SetSlots(n int) error {
	switch {
	case n < 0 || n > api.MaxSlots:
		return fmt.Errorf("%w: %d", ErrSlots, n)
	case n > 0 && w.cfg.Scratch == "":
		return errors.New("worker: slots need a folder to work in: set Config.Scratch")
	}
	return w.slots.set(n)
}

// Processes returns the processes of the programs that run now, at most 256: if there are
// more, the first ones of each program. Their use of a processor is since the last call. It
// reads a few files for each process. Call it every few seconds.
func (w *Worker) Processes() []api.Process { return w.usage.list(w.running.list()) }

// Warm returns the processes of stream programs, at most 256. It reads a few files for each
// of them. Call it every few seconds.
func (w *Worker) Warm() []api.WarmProcess { return w.streams.Warm() }

// Quarantine returns the job that keeps this node from taking others, and whether it runs
// already; nil if there is none.
func (w *Worker) Quarantine() *api.Quarantine { return w.quarantine.job.Load() }

// Trouble returns why this node tries only one job now and then, or nil.
func (w *Worker) Trouble() *api.Trouble { return w.trouble.State() }

// Hold keeps the worker from taking work while reason is not empty. What runs goes on.
// Nothing is claimed for a message that comes after Hold has returned. It may be called at
// any time, also before Run and by several goroutines.
func (w *Worker) Hold(reason string) {
	// A reason may change all the time, such as the free space of a disk.
	switch before := w.gate.hold(reason); {
	case before != "" && reason == "":
		w.cfg.Logger.Info("work is taken again", "node", w.cfg.Node)
	case before == "" && reason != "":
		w.cfg.Logger.Warn("no work is taken", "node", w.cfg.Node, "reason", reason)
	}
}

// Pause keeps the worker from taking work, besides Hold, and pauses all running programs
// until Resume. Their timeout and stall are paused, too. A program that is cancelled ends
// all the same, and so do all when the worker ends. Pause and Resume may be called at any
// time and by several goroutines. To pause twice is to pause once.
func (w *Worker) Pause(reason string) {
	w.pausing.Lock()
	defer w.pausing.Unlock()
	w.gate.pause(cmp.Or(reason, "paused"))
	if w.pause.Set(true) {
		w.cfg.Logger.Warn("programs stand still and no work is taken", "node", w.cfg.Node, "reason", reason)
	}
}

// Resume ends a Pause.
func (w *Worker) Resume() {
	w.pausing.Lock()
	defer w.pausing.Unlock()
	w.gate.pause("")
	if w.pause.Set(false) {
		w.cfg.Logger.Info("programs go on", "node", w.cfg.Node)
	}
}

// Paused reports whether the worker is paused.
func (w *Worker) Paused() bool { return w.pause.Closed() }

// Inspect loads every program in a folder and returns them by name. The error is that of a
// folder that cannot be read.
func Inspect(dir string) ([]program.Installed, error) {
	dir, err := resolveFolder(dir)
	if err != nil {
		return nil, err
	}
	return program.Inspect(dir)
}

// Protect hides the memory and the environment of this process from the programs that it
// starts, which run as the same user. The error is that the kernel cannot do it. Call it
// before Run.
func Protect() error { return process.Protect() }

// Isolation returns a line or two for people: what keeps the descendants of a program
// together on this machine, and what enforces the limits.
func Isolation() string { return cgroup.Probe().String() }
