package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/runnerbean/runnerbean/internal/jobdoc"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/panics"
	"github.com/runnerbean/runnerbean/internal/retry"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/worker/internal/checkpoint"
	"github.com/runnerbean/runnerbean/worker/internal/counting"
	"github.com/runnerbean/runnerbean/worker/internal/enqueue"
	"github.com/runnerbean/runnerbean/worker/internal/fault"
	"github.com/runnerbean/runnerbean/worker/internal/input"
	"github.com/runnerbean/runnerbean/worker/internal/process"
	"github.com/runnerbean/runnerbean/worker/internal/program"
	"github.com/runnerbean/runnerbean/worker/internal/progress"
	"github.com/runnerbean/runnerbean/worker/internal/publish"
	"github.com/runnerbean/runnerbean/worker/internal/stream"
	"github.com/runnerbean/runnerbean/worker/internal/workdir"
)

// runner takes attempts from the fetch of the inputs to the published result. All
// executors share it.
type runner struct {
	cfg      *Config
	programs *program.Registry
	others   *otherNodes
	fetcher  *input.Fetcher
	pause    *process.PauseGate // pauses the running programs
	slots    func() int
	panics   *panicRecorder
	streams  *stream.Pool
	scratch  *workdir.Root
	counting *counting.Counting // nil for none
}

// run runs an attempt. The error is nil for a success, fault.ErrStale or a *fault.Fault.
// After a panic it is a fault, unless the job has a result.
func (r *runner) run(a *attempt) error {
	err := panics.Call(func() error { return r.tryRun(a) })
	a.checkpoints.Abort()
	caught := a.stop.panic.Load()
	if errors.As(err, &caught); caught == nil {
		return err
	}
	ctx, cancel := extend(a.stop.ctx, finishTime)
	defer cancel()
	r.panics.record(ctx, a.record.ID, "run", caught)
	if err == nil || errors.Is(err, fault.ErrStale) {
		return err
	}
	var f *fault.Fault
	switch err := panics.Call(func() error { return a.publication.Adopt(ctx) }); {
	case err == nil:
		return nil
	case errors.As(err, &f): // it is not known whether there is a result
		return f
	}
	return fault.Internal(caught)
}

// tryRun is run without a guard against panics.
func (r *runner) tryRun(a *attempt) error {
	ctx := a.stop.ctx
	if a.misrouted() {
		return &fault.Fault{Outcome: jobs.OutcomeInterrupted, Message: "its message was on the run tube of program " + a.program.About.Name}
	}
	var err error
	if a.job, err = jobdoc.Read(a.record.Document); err != nil {
		return &fault.Fault{Outcome: jobs.OutcomeInput, Message: "the job document cannot be read: " + err.Error()}
	}
	a.publication.Job = &a.job
	a.limit(r.cfg)
	if a.record.Attempt > 1 {
		if err := a.publication.Adopt(ctx); !errors.Is(err, publish.ErrNothing) {
			return err
		}
	}
	err = r.runProgram(a)
	if ctx.Err() != nil && !a.run.endedByItself() {
		return a.stop.fault(r.cfg.Node)
	}
	if err != nil {
		// An earlier attempt that the ledger has given up may have published meanwhile.
		if a.record.Attempt > 1 && a.publication.Adopt(ctx) == nil {
			return nil
		}
		return err
	}
	long, cancel := extend(ctx, finishTime)
	defer cancel()
	return r.publish(long, a)
}

// runProgram fetches the inputs and runs the program on them.
func (r *runner) runProgram(a *attempt) error {
	ctx := a.stop.ctx
	if problem := a.program.About.Problem; problem != "" {
		return r.others.cannotStart(ctx, a.record.Program, problem)
	}
	if err := r.openFolder(a); err != nil {
		return fault.OfNode("no scratch folder", err)
	}
	stdin, sources, err := r.fetcher.Fetch(ctx, input.Request{
		Job: &a.job, Schema: a.program.Manifest.InputSchema, Budget: &a.budget,
		Dir: a.run.dir, SpillPath: a.res.scratch.InputPath(), MaxScratch: a.limits.scratch, Log: &a.run.log,
	})
	if err != nil {
		return err
	}
	defer stdin.Close()
	a.sources, a.fetched = sources, true
	if a.program.Manifest.Stream() {
		return r.execStream(a, &stdin)
	}
	if err := r.verify(a); err != nil {
		return err
	}
	if err := r.restore(a); err != nil {
		return err
	}
	if err := r.holds(a); err != nil {
		return err
	}
	return r.exec(a, &stdin)
}

// openFolder makes the working directory. A job of a stream program has one of its own only
// for files: it is not that of the executor, since its process outlives the job.
func (r *runner) openFolder(a *attempt) (err error) {
	switch {
	case !a.program.Manifest.Stream():
		a.run.dir, err = a.res.scratch.Open()
	case len(a.job.Files) > 0 || len(a.job.Needs) > 0:
		a.run.folder = r.scratch.NewScratch()
		a.run.dir, err = a.run.folder.Open()
	}
	if err == nil && a.run.dir == "" && a.job.Input.URL != "" {
		_, err = a.res.scratch.Open() // for an input that is too large for memory
	}
	return err
}

// verify checks that the program is still what was claimed, just before its start.
func (r *runner) verify(a *attempt) error {
	current, err := r.programs.Verify(a.program)
	if err == nil && current.Manifest.Stream() != a.program.Manifest.Stream() {
		err = errors.New("its mode was changed after the attempt had begun")
	}
	if err != nil {
		return &fault.Fault{Outcome: jobs.OutcomeInterrupted, Message: "program " + a.record.Program + ": " + err.Error(), Program: true}
	}
	if problem := current.About.Problem; problem != "" {
		return r.others.cannotStart(a.stop.ctx, a.record.Program, problem)
	}
	a.program = current
	a.limit(r.cfg)
	return nil
}

// longStart is the time from the claim to the start of a program after which the ledger is asked
// whether the attempt is still the newest. The node may have been suspended.
const longStart = time.Second

// holds asks that, if the start took long. If the ledger does not answer, the program starts.
func (r *runner) holds(a *attempt) error {
	if d := wallClock().Sub(a.start.Round(0)); d >= 0 && d < longStart {
		return nil
	}
	if err := r.cfg.Ledger.Holds(a.stop.ctx, a.record.ID, a.record.Attempt); fault.IsStale(err) {
		return fault.ErrStale
	}
	return nil
}

// exec runs the program.
func (r *runner) exec(a *attempt, stdin *input.Stdin) error {
	if a.stop.ctx.Err() != nil {
		return a.stop.fault(r.cfg.Node)
	}
	if err := stdin.Rewind(); err != nil {
		return fault.OfNode("the input cannot be read", err)
	}
	r.cfg.atStage("start")
	reporter := r.reporter(a)
	unwatch := r.watchQuota(a)
	a.run.span, a.run.began = newSpan(a.job.Traceparent), time.Now()
	spec := r.spec(a, a.run.dir)
	spec.Stdin, spec.StdinFile = stdin.Data, stdin.File
	spec.Log, spec.Event, spec.Handle, spec.Kill = &a.run.log, r.eventHandler(a, reporter), &a.run.handle, a.stop.killed
	spec.Timeout, spec.Stall = max(a.budget.Left(), time.Millisecond), a.limits.stall
	exit, err := process.Run(a.stop.ctx, spec)
	unwatch()
	if err := r.ended(a, reporter, &exit, err); err != nil {
		return err
	}
	return r.lastCheckpoint(a, verdict(&exit, &a.limits, a.run.renderedLog()))
}

// spec returns how to start the program in a working directory.
func (r *runner) spec(a *attempt, dir string) process.Spec {
	return process.Spec{
		Path: a.program.Path, Env: a.environment(dir, r.cfg.Scratch, r.slots()), Dir: dir, MaxStdout: a.limits.stdout,
		Grace: r.cfg.Grace, Pause: r.pause,
		MemoryLimit: a.limits.memory, FileSize: a.limits.scratch, OpenFiles: r.cfg.MaxOpenFiles,
	}
}

// ended notes that the program has ended, or has answered, and gives the slot back. It
// returns the fault of one that was not started or was killed by this node.
func (r *runner) ended(a *attempt, reporter *progress.Reporter, exit *process.Exit, err error) error {
	a.run.ended = time.Now()
	a.res.leaveSlot()
	reporter.Stop()
	if err != nil {
		return r.notStarted(a, err)
	}
	a.run.exit = exit
	a.budget.Used += a.run.ended.Sub(a.run.began)
	if exit.EventsDropped > 0 {
		fmt.Fprintf(&a.run.log, "runnerbean: %d event lines were too long and are ignored\n", exit.EventsDropped)
	}
	r.cfg.atStage("output")
	if _, refused := errors.AsType[*fault.Fault](context.Cause(a.stop.killed)); exit.Killed || refused {
		return killedHere(a.stop.killed)
	}
	return nil
}

const (
	// maxStreamInput bounds the input of a job of a stream program, which is sent from
	// memory, in bytes.
	maxStreamInput = 64 << 20
	// maxEnvelope is how much longer than its result an answer may be, in bytes.
	maxEnvelope = 4 << 10
)

// execStream runs the job in a process of a stream program.
func (r *runner) execStream(a *attempt, stdin *input.Stdin) error {
	if a.stop.ctx.Err() != nil {
		return a.stop.fault(r.cfg.Node)
	}
	data, err := stdin.Bytes(maxStreamInput)
	if err != nil {
		return err
	}
	r.cfg.atStage("start")
	reporter := r.reporter(a)
	unwatch := func() {}
	if a.run.dir != "" {
		unwatch = r.watchQuota(a)
	}
	a.run.span, a.run.began = newSpan(a.job.Traceparent), time.Now()
	job := stream.Run{
		Job: stream.Job{ID: a.job.ID, Attempt: a.record.Attempt, Input: data}, Program: a.program, Folder: a.run.dir, KillJob: a.stop.kill,
		Task: process.Task{
			Log: &a.run.log, Event: r.eventHandler(a, reporter), Handle: &a.run.handle, Kill: a.stop.killed,
			Timeout: max(a.budget.Left(), time.Millisecond), Stall: a.limits.stall,
		},
	}
	job.Start = func(dir string) (process.Spec, error) {
		if err := r.verify(a); err != nil {
			return process.Spec{}, err
		}
		job.Program = a.program
		spec := r.spec(a, dir)
		spec.MaxStdout += maxEnvelope
		return spec, nil
	}
	out, err := r.streams.Do(a.stop.ctx, &job)
	unwatch()
	if out.Kept != nil {
		a.run.folder, a.run.dir = out.Kept, out.Dir
	}
	if err := r.ended(a, reporter, &out.Exit, err); err != nil {
		return err
	}
	return streamVerdict(&out, &a.limits, a.run.renderedLog())
}

// reporter returns a reporter of the program's events to the ledger.
func (r *runner) reporter(a *attempt) *progress.Reporter {
	id := ""
	if a.program.Manifest.Stream() {
		id = a.job.ID
	}
	var count func(map[string]float64)
	if r.counting != nil {
		count = r.counting.Attempt(a.record.Program, a.restored, &a.run.log).Take
	}
	return progress.NewReporter(progress.Config{
		Job: id, Start: a.start, Log: &a.run.log, Series: &a.run.series, Guard: a.stop.guard, Saved: a.checkpoints.Ask, Enqueue: r.enqueuer(a), Count: count,
		Report: func(live ledger.Live) {
			ctx, cancel := extend(a.stop.ctx, finishTime)
			defer cancel()
			switch err := r.cfg.Ledger.Report(ctx, a.record.ID, a.record.Attempt, live); {
			case fault.IsStale(err):
				a.stop.cancel(fault.ErrStale)
			case err != nil:
				a.logger.Warn("progress not recorded", "err", err)
			}
		},
	})
}

// enqueuer returns what makes the jobs that the program asks for. The program waits meanwhile,
// if it writes faster than they are recorded. It is killed if one is refused.
func (r *runner) enqueuer(a *attempt) func(jsontext.Value) {
	programs := a.program.Manifest.Enqueue
	if r.cfg.Enqueue == nil {
		programs = nil
	}
	e := enqueue.New(enqueue.Config{
		Parent: &a.job, Programs: programs, Log: &a.run.log,
		Accept: func(ctx context.Context, document []byte) error { return r.cfg.Enqueue(ctx, a.job.ID, document) },
	})
	return func(request jsontext.Value) {
		if err := e.Enqueue(a.stop.ctx, request); err != nil {
			a.stop.kill(err)
		}
	}
}

func (r *runner) eventHandler(a *attempt, reporter *progress.Reporter) func([]byte) {
	return func(line []byte) {
		a.stop.guard(func() {
			r.cfg.atStage("event")
			reporter.Event(line)
		})
	}
}

// watchQuota kills the program once its working directory takes too much.
func (r *runner) watchQuota(a *attempt) (stop func()) {
	return workdir.WatchQuota(a.run.dir, a.limits.scratch, a.stop.guard, a.stop.kill, func(err error) {
		a.logger.Warn("the folder of a running program cannot be measured", "err", err)
	})
}

// notStarted returns the fault of a program that was not started. A node that was paused
// before the start may have had a reason to kill the program.
func (r *runner) notStarted(a *attempt, err error) error {
	a.run.span, a.run.began = span{}, time.Time{}
	known, isFault := errors.AsType[*fault.Fault](err)
	switch {
	case a.stop.killed.Err() != nil:
		return killedHere(a.stop.killed)
	case isFault:
		return known
	case nodeAtFault(err, cmp.Or(a.run.dir, r.cfg.Scratch)):
		return fault.OfNode("program "+a.record.Program, err)
	}
	return r.others.startFault(a.stop.ctx, a.record.Program, err)
}

// restore puts the newest checkpoint of an earlier attempt into the working directory.
func (r *runner) restore(a *attempt) (err error) {
	if r.cfg.Checkpoints == nil {
		return nil
	}
	var ask func() bool
	if sig := a.program.Manifest.CheckpointSignal(); sig != 0 {
		ask = func() bool { return a.run.handle.Signal(sig) }
	}
	a.checkpoints = checkpoint.New(checkpoint.Config{
		Ledger: r.cfg.Checkpoints, Store: r.cfg.Store, Events: r.cfg.Events, Job: a.record.ID, Attempt: a.record.Attempt, Node: r.cfg.Node,
		Dir: a.run.dir + "/checkpoint", Spool: a.res.scratch.CheckpointPath(), Limit: cmp.Or(a.limits.scratch, r.cfg.MaxFiles),
		Log: &a.run.log, Signal: ask, Guard: a.stop.guard, Logger: a.logger, Backoff: retry.Backoff{Base: r.cfg.BackoffBase, Max: r.cfg.BackoffMax, Jitter: r.cfg.Jitter},
	})
	a.keeper.Store(a.checkpoints)
	if a.record.Attempt == 1 {
		return nil
	}
	if a.restored, err = a.checkpoints.Restore(a.stop.ctx); err != nil {
		if a.stop.ctx.Err() != nil {
			return a.stop.fault(r.cfg.Node)
		}
		return fault.OfNode("its checkpoint cannot be restored", err)
	}
	return nil
}

const (
	// saveTime bounds the packing of a checkpoint after its program has ended, and
	// saveStopped after the attempt was stopped: service managers wait 90 s for a node.
	saveTime    = 10 * time.Minute
	saveStopped = 40 * time.Second
)

// lastCheckpoint keeps the checkpoint of a program that has ended, and returns how the attempt
// ends. err is what the program says.
func (r *runner) lastCheckpoint(a *attempt, err error) error {
	if err == nil {
		a.checkpoints.Abort() // nobody needs one
		return nil
	}
	ctx, cancel := extend(a.stop.ctx, saveStopped)
	defer cancel()
	ctx, expire := context.WithTimeout(ctx, saveTime)
	defer expire()
	defer context.AfterFunc(a.stop.killed, cancel)()
	if a.run.exit.Code != exitSaved {
		a.checkpoints.Wait(ctx)
		return err
	}
	failed := a.checkpoints.Last(ctx)
	_, refused := errors.AsType[*checkpoint.Refused](failed)
	end, known := errors.AsType[*fault.Fault](err)
	switch {
	case failed == nil, !known, !end.Saved, errors.Is(failed, checkpoint.ErrStale): // the ledger refuses the end, too
		return err
	case a.stop.ctx.Err() != nil:
		return a.stop.fault(r.cfg.Node)
	case refused, errors.Is(failed, checkpoint.ErrSame):
		return &fault.Fault{Outcome: jobs.OutcomeError, Message: "it asked to be run again (exit code 85), but " + failed.Error()}
	}
	return fault.OfNode("its checkpoint cannot be kept", failed)
}

// publish makes the output of the program the result of the job.
func (r *runner) publish(ctx context.Context, a *attempt) error {
	return a.publication.Publish(ctx, &publish.Run{
		ProgramSHA256: a.program.About.SHA256, Deterministic: a.program.Manifest.Deterministic,
		Dir: a.run.dir, Stdout: a.run.exit.Stdout, Log: &a.run.log, Sources: a.sources,
		Check: a.checkResult, Alive: a.stop.ctx,
		Stopped: func() error { return a.stop.fault(r.cfg.Node) },
	})
}
