package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/panics"
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

// newLane makes a lane that serves some servers.
func (w *Worker) newLane(addrs []string, slot chan struct{}) (*lane, error) {
	consumers, err := openFeed(w.cfg.Queue, addrs)
	if err != nil {
		return nil, err
	}
	return &lane{Worker: w, queue: consumers, scratch: &scratch{in: w.scratch}, slot: slot}, nil
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
		free, turn := l.brake.look()
		switch {
		case !free:
			wait(take, turn)
		case len(edition.tubes) == 0:
			wait(take, edition.fresh)
		default:
			l.serve(take, work, edition, turn)
		}
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
	l.scratch.leave()
}

// serve watches the tubes of one edition until there are others, or work is
// held.
func (l *lane) serve(take, work context.Context, e edition, held context.Context) {
	// A child ends in the moment in which its parent does.
	watch, cancel := context.WithCancel(held)
	defer cancel()
	defer context.AfterFunc(take, cancel)()
	defer context.AfterFunc(e.fresh, cancel)()
	for watch.Err() == nil {
		if !l.enter(watch) {
			return
		}
		if l.nextSafely(watch, take, work, e.tubes) {
			l.trouble = 0
		} else {
			sleep(watch, l.pause())
		}
		l.leave()
	}
}

// next waits for one message and handles it.
func (l *lane) next(watch, take, work context.Context, tubes []string) bool {
	message, err := l.queue.reserve(watch, tubes)
	switch {
	case err == nil && watch.Err() != nil:
		l.putBack(work, message, 0)
	case err == nil:
		return l.handleSafely(take, work, message)
	case watch.Err() == nil:
		l.logger.Warn("cannot reserve", "err", err)
		return false
	}
	return true
}

// pause is how long to take no work after another failure.
func (l *lane) pause() time.Duration {
	l.trouble++
	l.cfg.onPause()
	return backoff{base: troubleBase, most: troubleMost, jitter: l.cfg.Jitter}.wait(l.trouble)
}

// handle does what the message that is held hints at, and may trade it. It
// reports false where this node is in trouble and should take no more for a
// while.
func (l *lane) handle(take, ctx context.Context, held **queue.Delivery) bool {
	message := *held
	hint, err := readHint(message.Body)
	if err != nil {
		l.logger.Warn("a message on a run tube is not one of ours; it is deleted", "beanstalkd", message.Addr, "message", message.ID, "err", err)
		l.remove(ctx, message)
		return true
	}
	hint = l.moreUrgent(ctx, held, hint)
	message = *held
	program, err := l.guess(ctx, hint)
	if err != nil {
		return l.refused(ctx, message, hint.ID, err)
	}
	if program == nil {
		l.putBack(ctx, message, l.spread(elsewhereDelay))
		return true
	}
	switch left, err := l.leftToOthers(ctx, program); {
	case err != nil:
		return l.refused(ctx, message, hint.ID, err)
	case left:
		l.putBack(ctx, message, l.spread(2*time.Second))
		return true
	}
	if !l.quarantine.beside.TryAcquire(1) {
		l.putBack(ctx, message, time.Second) // a job runs alone from this moment on
		return true
	}
	claim, err := l.claim(ctx, hint.ID, false, program)
	if err == nil && claim.OK {
		defer l.quarantine.beside.Release(1)
		return l.attempt(ctx, message, l.newAttempt(claim.Record, program))
	}
	l.quarantine.beside.Release(1)
	switch {
	case err != nil:
		return l.refused(ctx, message, hint.ID, err)
	case claim.Quarantine:
		return l.isolate(take, ctx, message, claim.Record, program)
	}
	l.decline(ctx, message, claim.Record, claim.Alive)
	return true
}

func (l *lane) claim(ctx context.Context, id string, alone bool, p *program) (claim ledger.Claim, err error) {
	defer panics.Recover(&err)
	return l.cfg.Ledger.Claim(ctx, id, l.owner(alone), p.about.SHA256)
}

func (l *lane) owner(alone bool) ledger.Owner {
	return ledger.Owner{Instance: l.cfg.Instance, Node: l.cfg.Node, Alone: alone}
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
	var caught *panics.Error
	if errors.As(err, &caught) {
		l.unclaimed(ctx, message, id, caught)
		return true
	}
	if errors.Is(err, ledger.ErrUnknown) {
		l.logger.Warn("a message names a job that the ledger does not know; it is deleted", "job", id, "node", l.cfg.Node)
		l.remove(ctx, message)
		return true
	}
	if ctx.Err() == nil {
		l.logger.Error("the ledger does not answer; no work is taken for a while", "job", id, "node", l.cfg.Node, "err", err)
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
	case r.State == jobs.Queued && r.Wait(time.Now()) > 0:
		l.release(ctx, message, r.Priority, r.Wait(time.Now()))
	default:
		l.release(ctx, message, r.Priority, l.spread(2*time.Second))
	}
}

// newAttempt is a run of a claimed job that begins now.
func (l *lane) newAttempt(r ledger.Record, p *program) *attempt {
	logger := l.logger.With("job", r.ID, "attempt", r.Attempt, "program", r.Program, "node", l.cfg.Node)
	return &attempt{Worker: l.Worker, lane: l, logger: logger, record: r, program: p, start: time.Now()}
}

// attempt runs a claimed job and records how that ended.
func (l *lane) attempt(ctx context.Context, message *queue.Delivery, a *attempt) bool {
	run, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	killed, kill := context.WithCancelCause(context.Background())
	defer kill(nil)
	a.cancel, a.alive, a.kill, a.killed = cancel, run, kill, killed
	l.running.add(a)
	keeper := a.keep(run, message)
	err := a.runSafely(run)
	l.running.remove(a)

	settle, done := outlive(ctx, settleTime)
	defer done()
	l.safely(settle, a, "files", func() { a.keepOutput(settle, err); a.dropOutput(settle) })
	l.safely(settle, a, "log", func() { keeper.storeLog(settle); keeper.storeSeries(settle) })
	ending := l.finishSafely(settle, a, err)
	keeper.stop()
	if !l.safely(settle, a, "settle", func() { l.settle(settle, message, a, ending) }) {
		l.release(settle, message, a.record.Priority, l.spread(elsewhereDelay))
	}
	if !l.safely(settle, a, "tidy", func() { l.tidy(a) }) {
		l.safely(settle, a, "tidy", func() { l.scratch.close(time.Time{}) })
	}
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
		a.logger.Warn("descendants of a program could not be ended", "processes", a.exit.Escaped)
		a.start = time.Time{} // its folder cannot be trusted to stay as it is
	}
	l.scratch.close(a.start)
}
