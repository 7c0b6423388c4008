package worker

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"
	"golang.org/x/sys/unix"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/queue"
	"github.com/runnerbean/runnerbean/jobs"
)

const (
	// troubleBase and troubleMost bound how long a slot takes no work after the
	// ledger or the disk has failed it.
	troubleBase = time.Second
	troubleMost = 30 * time.Second
	// longestDelay is the longest for which a message is put off; a job that
	// waits longer is put off again.
	longestDelay = time.Hour
	// elsewhereDelay is how long a message is put off whose program is not
	// installed here.
	elsewhereDelay = 15 * time.Second
)

// lane takes one job at a time from its message to its end. Two lanes share a
// slot, which a lane needs only until its program has ended: while one waits
// for the disk to take a result, the other runs the next program. Without the
// slot a lane takes no message, so that no node hoards jobs.
type lane struct {
	*Worker
	queue   *feed
	scratch *scratch
	slot    chan struct{} // full while the slot is taken
	holds   bool          // the slot
	trouble int           // failures of the ledger or the disk in a row
}

// newLane makes a lane of slot number i.
func (w *Worker) newLane(i int, name string, slot chan struct{}) (*lane, error) {
	consumers, err := openFeed(w.cfg.Queue, i, w.cfg.Slots)
	if err != nil {
		return nil, err
	}
	room, err := newScratch(w.cfg.Scratch, name)
	if err != nil {
		return nil, errors.Join(err, consumers.close())
	}
	return &lane{Worker: w, queue: consumers, scratch: room, slot: slot}, nil
}

// enter waits for the slot. It reports false if ctx ends first.
func (l *lane) enter(ctx context.Context) bool {
	select {
	case l.slot <- struct{}{}:
		l.holds = true
	case <-ctx.Done():
	}
	return l.holds
}

// leave gives the slot back, if the lane still has it.
func (l *lane) leave() {
	if l.holds {
		l.holds = false
		<-l.slot
	}
}

// run takes one message after the other until take ends.
func (l *lane) run(take, work context.Context) {
	defer l.close()
	for take.Err() == nil {
		edition := l.programs.current()
		if len(edition.tubes) == 0 {
			wait(take, edition.fresh)
			continue
		}
		l.serve(take, work, edition)
	}
}

// wait returns when either context has ended.
func wait(a, b context.Context) {
	select {
	case <-a.Done():
	case <-b.Done():
	}
}

func (l *lane) close() {
	if err := l.queue.close(); err != nil {
		l.logger.Debug("connection to beanstalkd not closed in good order", "err", err)
	}
	if err := removeAll(l.scratch.root); err != nil {
		l.logger.Warn("scratch folder not removed", "err", err)
	}
}

// serve watches the tubes of one edition until there are others.
func (l *lane) serve(take, work context.Context, e edition) {
	watch, cancel := context.WithCancel(take)
	defer cancel()
	defer context.AfterFunc(e.fresh, cancel)()
	for watch.Err() == nil {
		if !l.enter(watch) {
			return
		}
		if l.next(watch, work, e.tubes) {
			l.trouble = 0
		} else {
			sleep(watch, l.pause())
		}
		l.leave()
	}
}

// next waits for one message and handles it.
func (l *lane) next(watch, work context.Context, tubes []string) bool {
	message, err := l.queue.reserve(watch, tubes)
	switch {
	case err == nil && watch.Err() != nil:
		l.putBack(work, message, 0)
	case err == nil:
		return l.handle(work, message)
	case watch.Err() == nil:
		l.logger.Warn("cannot reserve", "err", err)
		return false
	}
	return true
}

// pause is how long to take no work after another failure.
func (l *lane) pause() time.Duration {
	l.trouble++
	return backoff{base: troubleBase, most: troubleMost, jitter: l.cfg.Jitter}.wait(l.trouble)
}

// handle does what a message hints at. It reports false where this node is in
// trouble and should take no more for a while.
func (l *lane) handle(ctx context.Context, message *queue.Delivery) bool {
	hint, err := readHint(message.Body)
	if err != nil {
		l.logger.Warn("a message on a run tube is not one of ours; it is deleted", "beanstalkd", message.Addr, "message", message.ID, "err", err)
		l.remove(ctx, message)
		return true
	}
	program, err := l.guess(ctx, hint)
	if err != nil {
		return l.refused(ctx, message, hint.ID, err)
	}
	if program == nil {
		l.putBack(ctx, message, l.spread(elsewhereDelay))
		return true
	}
	owner := ledger.Owner{Instance: l.cfg.Instance, Node: l.cfg.Node}
	claim, err := l.cfg.Ledger.Claim(ctx, hint.ID, owner, program.about.SHA256)
	if err != nil {
		return l.refused(ctx, message, hint.ID, err)
	}
	if !claim.OK {
		l.decline(ctx, message, claim.Record, claim.Alive)
		return true
	}
	return l.attempt(ctx, message, &attempt{Worker: l.Worker, lane: l, record: claim.Record, program: program, start: time.Now()})
}

// guess says which program a message is about, before the ledger is asked to
// give the job to it; nil if that is not installed here. A wrong guess is
// found out after the claim.
func (l *lane) guess(ctx context.Context, h hint) (*program, error) {
	programs := l.programs.current().programs
	if h.Program == "" && len(programs) == 1 {
		for _, only := range programs {
			return only, nil
		}
	}
	if h.Program == "" {
		record, err := l.cfg.Ledger.Get(ctx, h.ID)
		if err != nil {
			return nil, err
		}
		h.Program = record.Program
	}
	return programs[h.Program], nil
}

// hint is a message on a run tube. Nothing in it is believed: the ledger knows.
type hint struct {
	ID      string `json:"id"`
	Program string `json:"program"`
}

func readHint(body []byte) (hint, error) {
	var h hint
	if err := json.Unmarshal(body, &h); err != nil {
		return h, err
	}
	if len(h.ID) != 36 || uuid.Validate(h.ID) != nil {
		return h, fmt.Errorf("%q is not a job id", clean(h.ID, 64))
	}
	return h, nil
}

// refused puts a message away that the ledger does not answer for.
func (l *lane) refused(ctx context.Context, message *queue.Delivery, id string, err error) bool {
	if errors.Is(err, ledger.ErrUnknown) {
		l.logger.Warn("a message names a job that the ledger does not know; it is deleted", "job", id)
		l.remove(ctx, message)
		return true
	}
	if ctx.Err() == nil {
		l.logger.Error("the ledger does not answer; no work is taken for a while", "job", id, "err", err)
	}
	l.putBack(ctx, message, l.spread(5*time.Second))
	return false
}

// decline puts a message away whose job is not to be run now.
func (l *lane) decline(ctx context.Context, message *queue.Delivery, r ledger.Record, alive bool) {
	switch {
	case r.State.Final(), r.State == jobs.Waiting:
		l.remove(ctx, message)
	case r.State == jobs.Running && alive:
		// The longer it has been running, the longer it may go on.
		age := min(max(time.Since(r.Started)/4, 10*time.Second), 20*time.Second)
		l.release(ctx, message, r.Priority, l.spread(age))
	case r.State == jobs.Queued && time.Until(r.NotBefore) > 0:
		l.release(ctx, message, r.Priority, time.Until(r.NotBefore))
	default:
		l.release(ctx, message, r.Priority, l.spread(2*time.Second))
	}
}

// attempt runs a claimed job and records how that ended.
func (l *lane) attempt(ctx context.Context, message *queue.Delivery, a *attempt) bool {
	run, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	a.cancel = cancel
	l.running.add(a)
	keeper := a.keep(run, message)
	err := a.run(run)
	l.running.remove(a)

	settle, done := outlive(ctx, settleTime)
	defer done()
	keeper.storeLog(settle)
	ending := l.finish(settle, a, err)
	keeper.stop()
	l.settle(settle, message, a, ending)
	l.tidy(a)
	var f *fault
	if errors.As(err, &f) && f.node {
		a.note(settle, "trouble", f.message)
		return false
	}
	return ending != nil || errors.Is(err, errStale)
}

// tidy removes what the attempt has left on disk.
func (l *lane) tidy(a *attempt) {
	if a.exit != nil && a.exit.Escaped > 0 {
		l.logger.Warn("descendants of a program could not be ended", "job", a.record.ID, "program", a.record.Program, "processes", a.exit.Escaped)
		a.start = time.Time{} // its folder cannot be trusted to stay as it is
	}
	if err := l.scratch.close(a.start); err != nil {
		l.logger.Warn("scratch folder not removed", "err", err)
	}
}

// finish records the end of an attempt; nil means that it is not recorded,
// because the attempt is not the job's newest or because the ledger fails.
func (l *lane) finish(ctx context.Context, a *attempt, err error) *ledger.Ending {
	if errors.Is(err, errStale) {
		l.logger.Warn("an attempt was stopped", "job", a.record.ID, "attempt", a.record.Attempt, "err", err)
		return nil
	}
	ending := a.ending(err)
	for try := 1; ; try++ {
		released, err := l.cfg.Ledger.Finish(ctx, a.record.ID, a.record.Attempt, ending)
		if err == nil {
			l.ended(ctx, a, &ending, released)
			return &ending
		}
		stale := errors.Is(err, ledger.ErrStale) || errors.Is(err, ledger.ErrUnknown) || errors.Is(err, ledger.ErrFinal)
		if stale || try&(try-1) == 0 || ctx.Err() != nil { // the first, second, fourth …
			l.logger.Error("the end of an attempt is not recorded", "job", a.record.ID, "attempt", a.record.Attempt, "outcome", ending.Outcome, "err", err)
		}
		// While the ledger fails this slot has nothing better to do than to
		// wait for it: a job whose end is not recorded would run again.
		if stale || !sleep(ctx, min(l.backoff.wait(try), troubleMost)) {
			return nil
		}
	}
}

// ending makes of the end of an attempt what the ledger records.
func (a *attempt) ending(err error) ledger.Ending {
	var f *fault
	if err != nil && !errors.As(err, &f) {
		f = &fault{outcome: jobs.OutcomeError, message: err.Error()}
	}
	p := policy{backoff: a.backoff, node: a.cfg.Node, now: time.Now(), attempts: a.cfg.Attempts}
	if a.program != nil {
		p.attempts = a.attempts()
	}
	e := p.ending(&a.record, f, a.logTail())
	if exit := a.exit; exit != nil {
		e.ExitCode, e.CPU, e.MaxRSS = exit.Code, exit.CPU, exit.MaxRSS
		if exit.Signal != 0 {
			e.Signal = unix.SignalName(exit.Signal)
		}
	}
	return e
}

// ended says that an attempt has ended, and sends the jobs that waited for it.
func (l *lane) ended(ctx context.Context, a *attempt, e *ledger.Ending, released []ledger.Record) {
	attrs := []any{
		"job", a.record.ID, "program", a.record.Program, "attempt", a.record.Attempt,
		"outcome", string(e.Outcome), "duration", time.Since(a.start).Round(time.Microsecond),
	}
	if e.Error != nil {
		attrs = append(attrs, "state", string(e.State), "err", e.Error.Message)
	}
	l.logger.Info("attempt ended", attrs...)
	if len(released) > 0 && l.cfg.Send != nil {
		if err := l.cfg.Send(ctx, released); err != nil {
			l.logger.Warn("jobs that waited for this one are not sent yet", "job", a.record.ID, "err", err)
		}
	}
}

// settle puts the message away, as the ledger has decided.
func (l *lane) settle(ctx context.Context, message *queue.Delivery, a *attempt, e *ledger.Ending) {
	switch {
	case e == nil:
		l.release(ctx, message, a.record.Priority, l.spread(2*time.Second))
	case a.misled():
		// The job gets a message of its own, for none is marked as sent.
		l.remove(ctx, message)
	case e.State == jobs.Queued:
		// Marked while we still hold it: it is sure to be there.
		sent := []ledger.Sent{{ID: a.record.ID, Server: message.Server, Message: message.ID}}
		if err := l.cfg.Ledger.MarkSent(ctx, sent); err != nil {
			l.logger.Debug("message not marked; the job gets another one", "job", a.record.ID, "err", err)
		}
		l.release(ctx, message, a.record.Priority, time.Until(e.NotBefore))
	default:
		l.remove(ctx, message)
		a.deliverFailure(ctx, e)
	}
}

func (l *lane) remove(ctx context.Context, message *queue.Delivery) {
	if err := message.Delete(ctx); err != nil && !errors.Is(err, queue.ErrGone) {
		l.logger.Debug("message not deleted; it comes again and changes nothing", "err", err)
	}
}

// release puts a message back for later, in whole seconds: a moment too early
// would have it come and go until it is time.
func (l *lane) release(ctx context.Context, message *queue.Delivery, priority uint32, delay time.Duration) {
	seconds := math.Ceil(min(max(delay, 0), longestDelay).Seconds())
	if err := message.Release(ctx, priority, time.Duration(seconds)*time.Second); err != nil && !errors.Is(err, queue.ErrGone) {
		l.logger.Debug("message not released; it comes again by itself", "err", err)
	}
}

// putBack releases a message whose job is not known, with the priority that it
// has.
func (l *lane) putBack(ctx context.Context, message *queue.Delivery, delay time.Duration) {
	l.release(ctx, message, priorityOf(ctx, message), delay)
}

func priorityOf(ctx context.Context, message *queue.Delivery) uint32 {
	stats, err := message.Stats(ctx)
	if err != nil {
		return jobs.DefaultPriority
	}
	n, err := strconv.ParseUint(stats["pri"], 10, 32)
	if err != nil {
		return jobs.DefaultPriority
	}
	return uint32(n)
}

// spread is d, more or less.
func (l *lane) spread(d time.Duration) time.Duration {
	return d/2 + time.Duration(l.cfg.Jitter()*float64(d))
}
