package worker

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/panics"
	"github.com/runnerbean/runnerbean/internal/retry"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/worker/internal/fault"
	"github.com/runnerbean/runnerbean/worker/internal/unreported"
)

// finisher records the ends of attempts in the ledger. All executors share it.
type finisher struct {
	cfg          *Config
	backoff      retry.Backoff
	inputBackoff retry.Backoff // for inputs that cannot be fetched yet
	panics       *panicRecorder
	unreported   unreported.Folder
}

// finish records the end of an attempt, whose error is err, and returns it. Its result, if
// it is small, is published in the same step. It returns nil if the end is not recorded:
// the attempt is not the job's newest (stale), or the ledger fails. After a panic it records
// an end without what the run has left but its result.
func (f *finisher) finish(ctx context.Context, a *attempt, err error) (ending *ledger.Ending, stale bool) {
	caught := panics.Catch(func() { ending, stale = f.tryFinish(ctx, a, err) })
	if caught == nil {
		return ending, stale
	}
	return f.finishAfterPanic(ctx, a, caught), false
}

func (f *finisher) tryFinish(ctx context.Context, a *attempt, err error) (_ *ledger.Ending, stale bool) {
	if errors.Is(err, fault.ErrStale) {
		a.logger.Warn("an attempt was stopped", "err", err)
		return nil, true
	}
	ending := f.ending(a, err)
	keep, forget, stop := f.keeper(a, &ending)
	defer stop()
	for try := 1; ; try++ {
		released, err := f.cfg.Ledger.Finish(ctx, a.record.ID, a.record.Attempt, ending)
		if err == nil || fault.IsStale(err) {
			forget()
		}
		if err == nil {
			f.panics.safely(ctx, a.record.ID, "ended", func() { f.ended(ctx, a, &ending, released) })
			return &ending, false
		}
		if caught, panicked := errors.AsType[*panics.Error](err); panicked {
			return f.finishAfterPanic(ctx, a, caught), false
		}
		// A ledger that could not write to its disk takes nothing until it is reopened.
		stale := fault.IsStale(err)
		gone := stale || errors.Is(err, ledger.ErrReopen)
		if gone || try&(try-1) == 0 || ctx.Err() != nil { // the first, second, fourth …
			a.logger.Error("the end of an attempt is not recorded", "outcome", ending.Outcome, "err", err)
		}
		if !stale {
			keep()
		}
		// The slot waits for the ledger: a job whose end is not recorded runs again.
		if gone || !retry.Sleep(ctx, min(f.backoff.Wait(try), maxLedgerWait)) {
			return nil, stale
		}
	}
}

// reportLimit bounds how long New tries to record the ends of earlier instances.
const reportLimit = 30 * time.Second

// reportLeft opens the folder of ends and records those that earlier instances have left. What
// the ledger does not take now stays there.
func reportLeft(cfg *Config) (folder unreported.Folder, err error) {
	if cfg.Unreported == "" {
		return folder, nil
	}
	if folder, err = unreported.Open(cfg.Unreported); err != nil {
		return folder, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), reportLimit)
	defer cancel()
	if err := folder.Report(ctx, cfg.Ledger, cfg.Logger); err != nil {
		cfg.Logger.Warn("ends of attempts of earlier instances are not recorded", "err", err)
	}
	return folder, nil
}

// keepAfter is how long the ledger may take for an end until it is kept on the disk.
const keepAfter = time.Second

// keeper returns a function that writes an end to the disk, so that the next instance of this
// node can record it if this one does not, and one that removes it. It is also written when
// the ledger has taken too long, until the caller calls stop.
func (f *finisher) keeper(a *attempt, e *ledger.Ending) (keep, forget, stop func()) {
	var once sync.Once
	kept := false
	keep = func() {
		once.Do(func() {
			kept = true
			if err := f.unreported.Keep(a.record.ID, a.record.Attempt, e); err != nil {
				a.logger.Warn("the end of an attempt cannot be kept until the ledger takes it; the job runs again if this node ends before", "err", err)
			}
		})
	}
	slow := time.AfterFunc(keepAfter, func() { _ = panics.Call(func() error { keep(); return nil }) })
	stop = func() {
		slow.Stop()
		once.Do(func() {}) // waits if it is being written, and keeps it from being written later
	}
	forget = func() {
		stop()
		if !kept {
			return
		}
		if err := f.unreported.Forget(a.record.ID, a.record.Attempt); err != nil {
			a.logger.Warn("the file of an end that is in the ledger cannot be removed", "err", err)
		}
	}
	return keep, forget, stop
}

// finishAfterPanic records that the attempt failed because of a panic, or that it
// succeeded if the job has a result or gets it in this step.
func (f *finisher) finishAfterPanic(ctx context.Context, a *attempt, caught *panics.Error) *ledger.Ending {
	f.panics.record(ctx, a.record.ID, "finish", caught)
	defect := fault.Internal(caught)
	ending := ledger.Ending{Outcome: defect.Outcome, State: jobs.Failed, ExitCode: -1, Error: defect.JobError()}
	if result := a.publication.Result(); result != nil || a.publication.Done() {
		ending = ledger.Ending{Outcome: jobs.OutcomeSucceeded, State: jobs.Succeeded, ExitCode: -1, Result: result}
	}
	err := panics.Call(func() error {
		_, err := f.cfg.Ledger.Finish(ctx, a.record.ID, a.record.Attempt, ending)
		return err
	})
	if err != nil {
		a.logger.Error("the end of an attempt is not recorded", "err", err)
		return nil
	}
	return &ending
}

// ending returns what the ledger records.
func (f *finisher) ending(a *attempt, err error) ledger.Ending {
	var end *fault.Fault
	if err != nil && !errors.As(err, &end) {
		end = &fault.Fault{Outcome: jobs.OutcomeError, Message: err.Error()}
	}
	p := policy{
		backoff: f.backoff, node: f.cfg.Node, now: time.Now(), attempts: a.limits.attempts,
		inputs: f.inputBackoff, patience: f.cfg.inputPatience,
	}
	e := p.ending(&a.record, end, a.run.logTail())
	if e.State == jobs.Succeeded {
		e.Result = a.publication.Result()
	}
	if a.fetched {
		e.Inputs = ledger.InputsHad
	}
	if exit := a.run.exit; exit != nil {
		e.ExitCode, e.CPU, e.MaxRSS = exit.Code, exit.CPU, exit.MaxRSS
		if exit.Signal != 0 {
			e.Signal = unix.SignalName(exit.Signal)
		}
	}
	return e
}

// ended reports that an attempt has ended, and sends the jobs that waited for it.
func (f *finisher) ended(ctx context.Context, a *attempt, e *ledger.Ending, released []ledger.Record) {
	attrs := []any{"outcome", string(e.Outcome), "duration", time.Since(a.start).Round(time.Microsecond).String()}
	if e.Error != nil {
		attrs = append(attrs, "state", string(e.State), "err", e.Error.Message)
	}
	a.logger.Info("attempt ended", attrs...)
	if f.cfg.OnEnded != nil {
		f.cfg.OnEnded(attemptReport(a, e))
	}
	if len(released) > 0 && f.cfg.Send != nil {
		if err := f.cfg.Send(ctx, released); err != nil {
			a.logger.Warn("jobs that waited for this one are not sent yet", "err", err)
		}
	}
}

// keepFiles stores the files in out/ of an attempt that is not a success, and drops those
// of older attempts. An interrupted attempt runs again and leaves nothing.
func (f *finisher) keepFiles(ctx context.Context, a *attempt, err error) {
	end, failed := errors.AsType[*fault.Fault](err)
	if a.run.exit != nil && failed && end.Outcome != jobs.OutcomeInterrupted {
		ctx, cancel := context.WithTimeout(ctx, finishTime)
		a.publication.KeepOutput(ctx, a.run.dir, &a.run.log)
		cancel()
	}
	a.publication.DropOutput(ctx)
}
