package batch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/runnerbean/runnerbean/internal/dispatch"
	"github.com/runnerbean/runnerbean/internal/jobdoc"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/batches"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/internal/panics"
	"github.com/runnerbean/runnerbean/internal/retry"
	"github.com/runnerbean/runnerbean/jobs"
)

const (
	// wakeGap is the shortest time between two looks at whether more frames may be made, and
	// endGap at whether all have ended: each commit of the node wakes all its batches.
	wakeGap = 20 * time.Millisecond
	endGap  = 100 * time.Millisecond
	// stepTimeout bounds what one step asks of the ledger.
	stepTimeout = 30 * time.Second
	// reportShare bounds the part of the time that a run spends on counting frames.
	reportShare = 20
)

// run is one batch that this node runs.
type run struct {
	cfg    Config
	record ledger.Record
	wake   chan struct{}
	held   held

	job       jobs.Job
	batch     *jobs.Batch
	submitter string
	frames    int        // how many there are
	expand    *expansion // nil once all frames are made
	bundle    *jobs.Job  // nil without one
	times     times
	conflicts []error     // frames whose ids are taken
	stop      ledger.Verb // what a person has asked for
	reported  string      // the last report
	next      time.Time   // of the next report
}

// wakeUp lets a run look at its frames at once.
func (r *run) wakeUp() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// serve runs the batch until it ends or ctx does. Then another node may take it up.
func (r *run) serve(ctx context.Context) {
	log := r.cfg.Logger.With("batch", r.record.ID)
	defer r.held.release()
	ready := false
	for {
		done := false
		err := panics.Call(func() (err error) {
			if !ready {
				if err := r.bounded(ctx, r.prepare); err != nil {
					return err
				}
				ready = true
			}
			done, err = r.step(ctx)
			return err
		})
		var caught *panics.Error
		var fault *jobs.Fault
		var lost *lostFile
		switch {
		case done && err == nil, errors.Is(err, ledger.ErrStale), errors.Is(err, ledger.ErrUnknown):
			return
		case errors.As(err, &caught):
			log.Error("a batch panicked; it fails", "err", caught, "stack", caught.Stack)
			r.finishSafely(ctx, ledger.Ending{Outcome: jobs.OutcomeInternal, State: jobs.Failed, Error: &jobs.Error{
				Class: jobs.OutcomeInternal, Message: "a defect of the node: " + caught.Error(),
			}})
			return
		case errors.As(err, &fault): // in its frames, or it was taken by a program that knew less
			r.finishSafely(ctx, ledger.Ending{Outcome: jobs.OutcomeFailed, State: jobs.Failed, Error: &jobs.Error{
				Class: jobs.ClassDocument, Message: fault.Message, Pointer: fault.Pointer,
			}})
			return
		case errors.As(err, &lost):
			r.finishSafely(ctx, ledger.Ending{Outcome: jobs.OutcomeInput, State: jobs.Failed, Error: &jobs.Error{
				Class: jobs.OutcomeInput, Message: lost.Error(), Pointer: framesPointer,
			}})
			return
		case ctx.Err() != nil:
			r.finishSafely(ctx, ledger.Ending{Outcome: jobs.OutcomeInterrupted, State: jobs.Queued, Reason: "its node gave it up; the next one goes on where it was"})
			return
		case err != nil:
			log.Warn("a batch does not get on; it is tried again", "err", err)
			retry.Sleep(ctx, r.cfg.Interval)
			continue
		}
		r.rest(ctx)
	}
}

// rest waits until a commit, the next report, or the end of ctx.
func (r *run) rest(ctx context.Context) {
	gap := wakeGap
	if r.expand == nil {
		gap = endGap
	}
	if !retry.Sleep(ctx, gap) {
		return
	}
	timer := time.NewTimer(time.Until(r.next))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-r.wake:
	case <-timer.C:
	}
}

// bounded calls f with a time limit.
func (r *run) bounded(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	return f(ctx)
}

// prepare reads the document and what has been done. A person's retry also queues the frames
// again that had not succeeded.
func (r *run) prepare(ctx context.Context) (err error) {
	l := r.cfg.Ledger
	if r.job, err = jobdoc.Read(r.record.Document); err != nil {
		return err
	}
	var expander *jobs.Expander
	open := func(digest string) ([]byte, error) { return framesFile(ctx, &r.cfg, digest, &r.held) }
	if r.batch, expander, err = jobdoc.Batch(&r.job, open); err != nil {
		return err
	}
	if r.submitter, err = l.Submitter(ctx, r.record.ID); err != nil {
		return err
	}
	known, err := l.Batches.Numbers(ctx, r.record.ID)
	if err != nil {
		return err
	}
	r.frames, r.bundle = expander.Len(), expander.Bundle()
	if r.expand = newExpansion(expander, &r.job, known); len(r.expand.rest) == 0 {
		r.expand = nil
	}
	before, err := r.retriedAt(ctx)
	if err != nil || before.IsZero() {
		return err
	}
	return retryFrames(ctx, &r.cfg, r.record.ID, before)
}

// retriedAt returns when a person last retried the batch; zero for never. It is also asked for when
// another node goes on: the frames that failed since are not queued again.
func (r *run) retriedAt(ctx context.Context) (time.Time, error) {
	list, err := r.cfg.Ledger.Events.Newest(ctx, r.record.ID, 0)
	if at := slices.IndexFunc(list, func(e eventlog.Event) bool { return e.Kind == eventlog.KindRetried }); err == nil && at >= 0 {
		return list[at].At, nil
	}
	return time.Time{}, err
}

// step makes frames, and reports if it is time. It reports whether the batch has ended.
func (r *run) step(ctx context.Context) (done bool, err error) {
	if err := r.expandSome(ctx); err != nil {
		return false, err
	}
	err = r.bounded(ctx, func(ctx context.Context) (err error) {
		if time.Now().Before(r.next) {
			done, err = r.allEnded(ctx)
			if err != nil || !done {
				return err
			}
		}
		done, err = r.look(ctx)
		return err
	})
	return done, err
}

// expandSome makes frames until the next report is due, or as many may be open as the batch
// allows. It leaves half of the time to others that write.
func (r *run) expandSome(ctx context.Context) error {
	for r.expand != nil && r.stop == "" && ctx.Err() == nil {
		began := time.Now()
		n, err := r.room(ctx)
		if err != nil || n == 0 {
			return err
		}
		frames, err := r.expand.next(n)
		if err == nil {
			err = r.bounded(ctx, func(ctx context.Context) error { return r.accept(ctx, frames) })
		}
		if err != nil {
			return err
		}
		if r.expand.made(len(frames)); len(r.expand.rest) == 0 {
			r.expand = nil
			return nil
		}
		if !time.Now().Before(r.next) || !retry.Sleep(ctx, time.Since(began)) {
			return nil
		}
	}
	return nil
}

// room returns how many of the next frames may be made now: at most a chunk, and no more than may
// be open. Under such a bound it prefers frames that need not wait for others of the batch.
func (r *run) room(ctx context.Context) (int, error) {
	n, most := min(chunk, len(r.expand.rest)), r.batch.MaxRunning
	if most == 0 {
		return n, nil
	}
	b := r.cfg.Ledger.Batches
	open, err := b.CountOpen(ctx, r.record.ID, 0, most)
	if n = min(n, most-open); err != nil || n <= 0 || !r.expand.needs {
		return max(n, 0), err
	}
	list, err := b.Open(ctx, r.record.ID, batches.Bundle, most)
	waits := make(map[int]bool, len(list))
	for _, frame := range list {
		waits[frame.Number] = true
	}
	return r.expand.readyFirst(n, waits), err
}

// accept records frames. A frame whose id is taken by another job is one that has failed.
func (r *run) accept(ctx context.Context, frames []dispatch.Frame) error {
	err := r.cfg.Dispatcher.AcceptFrames(ctx, r.record.ID, r.submitter, frames)
	if errors.Is(err, ledger.ErrConflict) {
		r.conflicts = append(r.conflicts, err)
		return nil
	}
	return err
}

// allEnded reports whether all frames are made and none is open.
func (r *run) allEnded(ctx context.Context) (bool, error) {
	if r.expand != nil && r.stop == "" {
		return false, nil
	}
	open, err := r.cfg.Ledger.Batches.CountOpen(ctx, r.record.ID, batches.Bundle, 1)
	return open == 0, err
}

// look reports how the frames stand, does what a person has asked for, and ends the batch if
// all frames have ended.
func (r *run) look(ctx context.Context) (done bool, err error) {
	began := time.Now()
	defer func() {
		r.next = time.Now().Add(max(r.cfg.Interval, reportShare*time.Since(began)))
	}()
	if err := r.askedFor(ctx); err != nil {
		return false, err
	}
	ended, err := r.allEnded(ctx)
	if err != nil {
		return false, err
	}
	s, err := r.summary(ctx)
	if err != nil {
		return false, err
	}
	if ended && r.stop == "" && r.bundle != nil {
		if ended, err = r.bundled(ctx); err != nil {
			return false, err
		}
	}
	if !ended {
		return false, r.report(ctx, &s)
	}
	return true, r.end(ctx, &s)
}

// askedFor reads whether a person has asked for the end, and ends the open frames.
func (r *run) askedFor(ctx context.Context) error {
	list, err := r.cfg.Ledger.Cancelling(ctx, []string{r.record.ID})
	if err != nil || len(list) == 0 {
		return err
	}
	if r.stop = list[0].Verb; r.stop == ledger.VerbReset {
		return r.finish(ctx, ledger.Ending{Outcome: jobs.OutcomeInterrupted, State: jobs.Queued})
	}
	_, err = cancelFrames(ctx, &r.cfg, r.record.ID, r.stop)
	return err
}

// summary counts the frames.
func (r *run) summary(ctx context.Context) (Summary, error) {
	b := r.cfg.Ledger.Batches
	states, err := b.States(ctx, r.record.ID)
	if err == nil {
		err = r.times.read(ctx, b, r.record.ID)
	}
	if err != nil {
		return Summary{}, err
	}
	s := count(states, r.frames, r.expand == nil || r.stop != "")
	s.Seconds, s.Tar = r.times.seconds(), r.job.Result.URL+"/bundle.tar"
	s.Ends = r.times.ends(time.Now(), s.Frames-s.open(), s.open())
	if r.bundle != nil {
		s.Bundle = r.job.Result.URL + "/bundle"
	}
	if s.Failed+s.Cancelled > 0 {
		list, err := b.Unsuccessful(ctx, r.record.ID, batches.Bundle, time.Now().Add(time.Hour), maxListed)
		if err != nil {
			return Summary{}, err
		}
		for i := range list {
			s.Unsuccessful = append(s.Unsuccessful, list[i].Number)
		}
	}
	return s, nil
}

// report tells the ledger how the batch stands, if that has changed.
func (r *run) report(ctx context.Context, s *Summary) error {
	partial, err := json.Marshal(s)
	if err != nil || string(partial) == r.reported {
		return err
	}
	progress := float64(s.Frames-s.open()) / float64(s.Frames)
	err = r.cfg.Ledger.Report(ctx, r.record.ID, r.record.Attempt, ledger.Live{
		Progress: &progress, Message: s.message(), Counters: s.counters(), Partial: partial,
	})
	if err == nil {
		r.reported = string(partial)
	}
	return err
}

// bundled makes the bundle if it is not there, and reports whether it has ended.
func (r *run) bundled(ctx context.Context) (bool, error) {
	x := expansion{base: r.job.Result.URL[:len(r.job.Result.URL)-len(r.job.ID)]}
	bundle := *r.bundle
	frame, err := x.frame(batches.Bundle, &bundle)
	if err != nil {
		return false, err
	}
	if err := r.accept(ctx, []dispatch.Frame{frame}); err != nil {
		return false, err
	}
	record, err := r.cfg.Ledger.Get(ctx, bundle.ID)
	return err == nil && record.State.Final(), err
}

// end ends the batch. All frames have ended.
func (r *run) end(ctx context.Context, s *Summary) error {
	if r.stop != "" {
		return r.finish(ctx, ledger.Ending{Outcome: jobs.OutcomeCancelled, State: jobs.Cancelled, Error: &jobs.Error{
			Class: jobs.OutcomeCancelled, Message: "cancelled: " + s.message(),
		}})
	}
	fault := errors.Join(r.conflicts...)
	switch {
	case fault != nil:
	case r.bundle != nil:
		record, err := r.cfg.Ledger.Get(ctx, r.bundle.ID)
		if err != nil {
			return err
		}
		if record.State != jobs.Succeeded {
			fault = fmt.Errorf("the bundle is %s: %s", record.State, messageOf(record.Error))
		}
	case s.Failed+s.Cancelled > 0:
		fault = errors.New(s.fault())
	}
	if fault != nil {
		s.Ends = nil
		if err := r.report(ctx, s); err != nil {
			return err
		}
		return r.finish(ctx, ledger.Ending{Outcome: jobs.OutcomeFailed, State: jobs.Failed, Error: &jobs.Error{Class: jobs.ClassNeeds, Message: fault.Error()}})
	}
	return r.succeed(ctx, s)
}

func messageOf(e *jobs.Error) string {
	if e == nil {
		return "no reason is known"
	}
	return e.Message
}

// succeed ends the batch with its summary as the result.
func (r *run) succeed(ctx context.Context, s *Summary) error {
	value, err := json.Marshal(s)
	if err != nil {
		return err
	}
	now := time.Now().UTC().Truncate(time.Millisecond)
	result, err := json.Marshal(jobs.Result{
		ID: r.record.ID, Program: r.record.Program, State: jobs.Succeeded, Timestamp: now, Created: r.job.Created,
		Started: r.record.Started, Finished: now, Attempt: r.record.Attempt, Node: r.record.Node, Result: value,
	})
	if err != nil {
		return err
	}
	return r.finish(ctx, ledger.Ending{Outcome: jobs.OutcomeSucceeded, State: jobs.Succeeded, Result: result})
}

// finish ends the attempt, and puts messages for the jobs that this releases.
func (r *run) finish(ctx context.Context, e ledger.Ending) error {
	e.ExitCode = -1
	released, err := r.cfg.Ledger.Finish(ctx, r.record.ID, r.record.Attempt, e)
	if err != nil {
		return err
	}
	if err := r.cfg.Dispatcher.Send(ctx, released); err != nil {
		r.cfg.Logger.Warn("jobs are queued but not yet on their run tubes; the reconciler will put them", "jobs", len(released), "err", err)
	}
	if e.State == jobs.Queued {
		return ledger.ErrStale
	}
	return nil
}

// finishSafely is finish when ctx may have ended. What it cannot do, the recovery of this node
// does later.
func (r *run) finishSafely(ctx context.Context, e ledger.Ending) {
	err := r.bounded(context.WithoutCancel(ctx), func(ctx context.Context) error { return r.finish(ctx, e) })
	if err != nil && !errors.Is(err, ledger.ErrStale) && !errors.Is(err, ledger.ErrUnknown) {
		r.cfg.Logger.Warn("the end of a run of a batch is not recorded", "batch", r.record.ID, "err", err)
	}
}
