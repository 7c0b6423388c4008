package worker

import (
	"context"
	"errors"
	"fmt"
	"math"
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

// slot runs one job at a time.
type slot struct {
	*Worker
	number  int
	queue   *feed
	scratch *scratch
	trouble int // failures of the ledger or the disk in a row
}

func (w *Worker) newSlot(i int) (*slot, error) {
	consumers, err := openFeed(w.cfg.Queue, i, w.cfg.Slots)
	if err != nil {
		return nil, err
	}
	room, err := newScratch(w.cfg.Scratch, i)
	if err != nil {
		return nil, errors.Join(err, consumers.close())
	}
	return &slot{Worker: w, number: i, queue: consumers, scratch: room}, nil
}

// run takes one message after the other until take ends.
func (s *slot) run(take, work context.Context) {
	defer s.close()
	for take.Err() == nil {
		edition := s.programs.current()
		if len(edition.tubes) == 0 {
			wait(take, edition.fresh)
			continue
		}
		s.serve(take, work, edition)
	}
}

// wait returns when either context has ended.
func wait(a, b context.Context) {
	select {
	case <-a.Done():
	case <-b.Done():
	}
}

func (s *slot) close() {
	if err := s.queue.close(); err != nil {
		s.logger.Debug("connection to beanstalkd not closed in good order", "err", err)
	}
	if err := removeAll(s.scratch.root); err != nil {
		s.logger.Warn("scratch folder not removed", "err", err)
	}
}

// serve watches the tubes of one edition until there are others.
func (s *slot) serve(take, work context.Context, e edition) {
	watch, cancel := context.WithCancel(take)
	defer cancel()
	defer context.AfterFunc(e.fresh, cancel)()
	for watch.Err() == nil {
		message, err := s.queue.reserve(watch, e.tubes)
		if err != nil {
			if watch.Err() == nil {
				s.logger.Warn("cannot reserve", "err", err)
				sleep(watch, s.pause())
			}
			continue
		}
		if take.Err() != nil {
			s.release(work, message, jobs.DefaultPriority, 0)
			return
		}
		if s.handle(work, message) {
			s.trouble = 0
		} else {
			sleep(take, s.pause())
		}
	}
}

// pause is how long to take no work after another failure.
func (s *slot) pause() time.Duration {
	s.trouble++
	return backoff{base: troubleBase, most: troubleMost, jitter: s.cfg.Jitter}.wait(s.trouble)
}

// handle does what a message hints at. It reports false where this node is in
// trouble and should take no more for a while.
func (s *slot) handle(ctx context.Context, message *queue.Delivery) bool {
	id, err := messageID(message.Body)
	if err != nil {
		s.logger.Warn("a message on a run tube is not one of ours; it is deleted", "beanstalkd", message.Addr, "message", message.ID, "err", err)
		s.remove(ctx, message)
		return true
	}
	record, err := s.cfg.Ledger.Get(ctx, id)
	if err != nil {
		return s.refused(ctx, message, id, err)
	}
	if record.State.Final() || record.State == jobs.Waiting {
		s.remove(ctx, message)
		return true
	}
	program := s.programs.current().programs[record.Program]
	if program == nil {
		s.release(ctx, message, record.Priority, s.spread(elsewhereDelay))
		return true
	}
	claim, err := s.cfg.Ledger.Claim(ctx, id, ledger.Owner{Instance: s.cfg.Instance, Node: s.cfg.Node}, program.about.SHA256)
	if err != nil {
		return s.refused(ctx, message, id, err)
	}
	if !claim.OK {
		s.decline(ctx, message, claim.Record, claim.Alive)
		return true
	}
	return s.attempt(ctx, message, &attempt{Worker: s.Worker, slot: s, record: claim.Record, program: program, start: time.Now()})
}

// messageID reads a message, of which nothing but the id is believed.
func messageID(body []byte) (string, error) {
	var m struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(body, &m); err != nil {
		return "", err
	}
	if len(m.ID) != 36 || uuid.Validate(m.ID) != nil {
		return "", fmt.Errorf("%q is not a job id", clean(m.ID, 64))
	}
	return m.ID, nil
}

// refused puts a message away that the ledger does not answer for.
func (s *slot) refused(ctx context.Context, message *queue.Delivery, id string, err error) bool {
	if errors.Is(err, ledger.ErrUnknown) {
		s.logger.Warn("a message names a job that the ledger does not know; it is deleted", "job", id)
		s.remove(ctx, message)
		return true
	}
	if ctx.Err() == nil {
		s.logger.Error("the ledger does not answer; no work is taken for a while", "job", id, "err", err)
	}
	s.release(ctx, message, jobs.DefaultPriority, s.spread(5*time.Second))
	return false
}

// decline puts a message away whose job is not to be run now.
func (s *slot) decline(ctx context.Context, message *queue.Delivery, r ledger.Record, alive bool) {
	switch {
	case r.State.Final(), r.State == jobs.Waiting:
		s.remove(ctx, message)
	case r.State == jobs.Running && alive:
		// The longer it has been running, the longer it may go on.
		age := min(max(time.Since(r.Started)/4, 10*time.Second), 20*time.Second)
		s.release(ctx, message, r.Priority, s.spread(age))
	case r.State == jobs.Queued && time.Until(r.NotBefore) > 0:
		s.release(ctx, message, r.Priority, time.Until(r.NotBefore))
	default:
		s.release(ctx, message, r.Priority, s.spread(2*time.Second))
	}
}

// attempt runs a claimed job and records how that ended.
func (s *slot) attempt(ctx context.Context, message *queue.Delivery, a *attempt) bool {
	run, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	a.cancel = cancel
	s.running.add(a)
	keeper := a.keep(run, message)
	err := a.run(run)
	s.running.remove(a)

	settle, done := outlive(ctx, settleTime)
	defer done()
	keeper.storeLog(settle)
	ending := s.finish(settle, a, err)
	keeper.stop()
	s.settle(settle, message, a, ending)
	s.tidy(a)
	var f *fault
	if errors.As(err, &f) && f.node {
		a.note(settle, "trouble", f.message)
		return false
	}
	return ending != nil || errors.Is(err, errStale)
}

// tidy removes what the attempt has left on disk.
func (s *slot) tidy(a *attempt) {
	if a.exit != nil && a.exit.Escaped > 0 {
		s.logger.Warn("descendants of a program could not be ended", "job", a.record.ID, "program", a.record.Program, "processes", a.exit.Escaped)
		a.start = time.Time{} // its folder cannot be trusted to stay as it is
	}
	if err := s.scratch.close(a.start); err != nil {
		s.logger.Warn("scratch folder not removed", "err", err)
	}
}

// finish records the end of an attempt; nil means that it is not recorded,
// because the attempt is not the job's newest or because the ledger fails.
func (s *slot) finish(ctx context.Context, a *attempt, err error) *ledger.Ending {
	if errors.Is(err, errStale) {
		s.logger.Warn("an attempt was stopped", "job", a.record.ID, "attempt", a.record.Attempt, "err", err)
		return nil
	}
	ending := a.ending(err)
	for try := 1; ; try++ {
		released, err := s.cfg.Ledger.Finish(ctx, a.record.ID, a.record.Attempt, ending)
		if err == nil {
			s.ended(ctx, a, &ending, released)
			return &ending
		}
		stale := errors.Is(err, ledger.ErrStale) || errors.Is(err, ledger.ErrUnknown) || errors.Is(err, ledger.ErrFinal)
		if stale || try == 1 || ctx.Err() != nil {
			s.logger.Error("the end of an attempt is not recorded", "job", a.record.ID, "attempt", a.record.Attempt, "outcome", ending.Outcome, "err", err)
		}
		// While the ledger fails this slot has nothing better to do than to
		// wait for it: a job whose end is not recorded would run again.
		if stale || !sleep(ctx, min(s.backoff.wait(try), troubleMost)) {
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
func (s *slot) ended(ctx context.Context, a *attempt, e *ledger.Ending, released []ledger.Record) {
	attrs := []any{
		"job", a.record.ID, "program", a.record.Program, "attempt", a.record.Attempt,
		"outcome", string(e.Outcome), "duration", time.Since(a.start).Round(time.Microsecond),
	}
	if e.Error != nil {
		attrs = append(attrs, "state", string(e.State), "err", e.Error.Message)
	}
	s.logger.Info("attempt ended", attrs...)
	if len(released) > 0 && s.cfg.Send != nil {
		if err := s.cfg.Send(ctx, released); err != nil {
			s.logger.Warn("jobs that waited for this one are not sent yet", "job", a.record.ID, "err", err)
		}
	}
}

// settle puts the message away, as the ledger has decided.
func (s *slot) settle(ctx context.Context, message *queue.Delivery, a *attempt, e *ledger.Ending) {
	switch {
	case e == nil:
		s.release(ctx, message, a.record.Priority, s.spread(2*time.Second))
	case e.State == jobs.Queued:
		s.release(ctx, message, a.record.Priority, time.Until(e.NotBefore))
	default:
		s.remove(ctx, message)
		a.deliverFailure(ctx, e)
	}
}

func (s *slot) remove(ctx context.Context, message *queue.Delivery) {
	if err := message.Delete(ctx); err != nil && !errors.Is(err, queue.ErrGone) {
		s.logger.Debug("message not deleted; it comes again and changes nothing", "err", err)
	}
}

// release puts a message back for later, in whole seconds: a moment too early
// would have it come and go until it is time.
func (s *slot) release(ctx context.Context, message *queue.Delivery, priority uint32, delay time.Duration) {
	seconds := math.Ceil(min(max(delay, 0), longestDelay).Seconds())
	if err := message.Release(ctx, priority, time.Duration(seconds)*time.Second); err != nil && !errors.Is(err, queue.ErrGone) {
		s.logger.Debug("message not released; it comes again by itself", "err", err)
	}
}

// spread is d, more or less.
func (s *slot) spread(d time.Duration) time.Duration {
	return d/2 + time.Duration(s.cfg.Jitter()*float64(d))
}
