package worker

import (
	"context"
	"errors"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/panics"
	"github.com/runnerbean/runnerbean/internal/queue"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/worker/internal/fault"
	"github.com/runnerbean/runnerbean/worker/internal/growinglog"
	"github.com/runnerbean/runnerbean/worker/internal/program"
	"github.com/runnerbean/runnerbean/worker/internal/publish"
	"github.com/runnerbean/runnerbean/worker/internal/trouble"
)

// jobHandler handles messages: it claims the job in the ledger, runs the attempt, records
// its end and deletes or releases the message. All executors share it.
type jobHandler struct {
	cfg        *Config
	programs   *program.Registry
	gate       *intakeGate
	quarantine *quarantine
	running    *runningAttempts
	runner     *runner
	finisher   *finisher
	publish    *publish.Config
	ack        *messageAck
	swap       *messageSwap
	turns      *turns
	others     *otherNodes
	panics     *panicRecorder
	trouble    *trouble.Trouble // of this node
}

// handle handles one message. It returns false if this node is in trouble and should take
// no work for a while. After a panic before the claim it fails the job and releases the
// message: the next executor that reserves it finds that out.
func (h *jobHandler) handle(take, work context.Context, message *queue.Delivery, res *resources) (fine bool) {
	caught := panics.Catch(func() { fine = h.tryHandle(take, work, &message, res) })
	if caught == nil {
		return fine
	}
	id := ""
	if m, err := readRunMessage(message.Body); err == nil {
		id = m.ID
	}
	h.failUnclaimed(work, message, id, caught)
	return true
}

// tryHandle is handle without a guard against panics. It may swap the message that is
// held for another one.
func (h *jobHandler) tryHandle(take, ctx context.Context, held **queue.Delivery, res *resources) bool {
	message := *held
	m, err := readRunMessage(message.Body)
	if err != nil {
		h.ack.removeForeign(ctx, message, err)
		return true
	}
	m = h.swap.moreUrgent(ctx, held, m)
	p, err := h.programOf(ctx, m)
	if err != nil {
		return h.claimFailed(ctx, *held, m.ID, err)
	}
	if p == nil {
		h.ack.putBack(ctx, *held, h.ack.spread(elsewhereDelay))
		return true
	}
	turn := h.turns.take(ctx, held, &m, &p)
	message = *held
	defer turn.Passed()
	if p.About.Problem != "" {
		switch left, err := h.others.takeOver(ctx, p.About.Name); {
		case err != nil:
			return h.claimFailed(ctx, message, m.ID, err)
		case left:
			h.ack.putBack(ctx, message, h.ack.spread(2*time.Second))
			return true
		}
	}
	if !h.quarantine.beside.TryAcquire(1) {
		h.ack.putBack(ctx, message, time.Second) // a job runs alone from this moment on
		return true
	}
	claim, err := h.claim(ctx, m.ID, false, p)
	if err == nil && claim.OK {
		turn.Claimed()
		defer h.quarantine.beside.Release(1)
		return h.attempt(ctx, message, h.newAttempt(claim.Record, p, res))
	}
	h.quarantine.beside.Release(1)
	switch {
	case err != nil:
		return h.claimFailed(ctx, message, m.ID, err)
	case claim.Quarantine:
		turn.Passed() // it may wait here for long
		return h.isolate(take, ctx, message, claim.Record, p, res)
	}
	h.ack.decline(ctx, message, &claim.Record, claim.Alive)
	return true
}

// isolate runs a job in quarantine, or releases its message for other nodes.
func (h *jobHandler) isolate(take, work context.Context, message *queue.Delivery, r ledger.Record, p *program.Program, res *resources) bool {
	q := h.quarantine
	if !q.exclusive.TryLock() {
		h.ack.release(work, message, messagePriority(&r), h.ack.spread(quarantineDelay))
		return true
	}
	defer q.exclusive.Unlock()
	defer q.clear()
	empty, err := q.emptyNode(take, message, &r)
	if empty {
		defer q.beside.Release(wholeNode)
	}
	if err != nil {
		return h.claimFailed(work, message, r.ID, err)
	}
	if closed, _ := h.gate.closed(); closed || !empty || take.Err() != nil {
		h.ack.release(work, message, messagePriority(&r), h.ack.spread(quarantineDelay))
		return true
	}
	q.set(&r, true)
	claim, err := h.claim(work, r.ID, true, p)
	if err != nil {
		return h.claimFailed(work, message, r.ID, err)
	}
	if !claim.OK {
		h.ack.decline(work, message, &claim.Record, claim.Alive)
		return true
	}
	return h.attempt(work, message, h.newAttempt(claim.Record, p, res))
}

// claim asks the ledger for the job. alone is for a job in quarantine.
func (h *jobHandler) claim(ctx context.Context, id string, alone bool, p *program.Program) (claim ledger.Claim, err error) {
	defer panics.Recover(&err)
	owner := ledger.Owner{Instance: h.cfg.Instance, Node: h.cfg.Node, Alone: alone}
	return h.cfg.Ledger.Claim(ctx, id, owner, p.About.SHA256)
}

// programOf returns the program that a message is probably about; nil if it is not
// installed here. Whether it is the job's is known after the claim.
func (h *jobHandler) programOf(ctx context.Context, m runMessage) (*program.Program, error) {
	programs := h.programs.Current().Programs
	if m.Program == "" && len(programs) == 1 {
		for _, only := range programs {
			return only, nil
		}
	}
	if m.Program == "" {
		record, err := h.cfg.Ledger.Get(ctx, m.ID)
		if err != nil {
			return nil, err
		}
		m.Program = record.Program
	}
	return programs[m.Program], nil
}

// claimFailed handles a message whose job could not be claimed because of err, an error of
// the ledger.
func (h *jobHandler) claimFailed(ctx context.Context, message *queue.Delivery, id string, err error) bool {
	if caught, panicked := errors.AsType[*panics.Error](err); panicked {
		h.failUnclaimed(ctx, message, id, caught)
		return true
	}
	if errors.Is(err, ledger.ErrUnknown) {
		h.cfg.Logger.Warn("a message names a job that the ledger does not know; it is deleted", "job", id, "node", h.cfg.Node)
		h.ack.remove(ctx, message)
		return true
	}
	if ctx.Err() == nil {
		h.cfg.Logger.Error("the ledger does not answer; no work is taken for a while", "job", id, "node", h.cfg.Node, "err", err)
	}
	h.ack.putBack(ctx, message, h.ack.spread(5*time.Second))
	return false
}

// failUnclaimed fails a job that no node can claim because of a panic.
func (h *jobHandler) failUnclaimed(ctx context.Context, message *queue.Delivery, id string, caught *panics.Error) {
	h.panics.record(ctx, id, "claim", caught)
	err := panics.Call(func() error { return h.cfg.Ledger.Fail(ctx, id, *fault.Internal(caught).JobError()) })
	if err != nil {
		h.cfg.Logger.Error("a job that cannot be claimed does not fail", "job", id, "err", err)
	}
	h.ack.release(ctx, message, jobs.DefaultPriority, h.ack.spread(elsewhereDelay))
}

// newAttempt returns an attempt of a claimed job that begins now.
func (h *jobHandler) newAttempt(r ledger.Record, p *program.Program, res *resources) *attempt {
	a := &attempt{
		logger: h.cfg.Logger.With("job", r.ID, "attempt", r.Attempt, "program", r.Program, "node", h.cfg.Node),
		record: r, program: p, start: time.Now(), res: res,
	}
	a.publication = publish.New(h.publish, &a.record, a.logger)
	a.limit(h.cfg)
	return a
}

// attempt runs an attempt, records its end and acknowledges the message. Each step is taken
// even if an earlier one panics. It returns false if this node is in trouble.
func (h *jobHandler) attempt(ctx context.Context, message *queue.Delivery, a *attempt) bool {
	a.stop = newStopper(ctx)
	defer a.stop.release()
	h.running.add(a)
	flusher := &flusher{
		ctx: a.stop.ctx, id: a.record.ID, attempt: a.record.Attempt, run: &a.run,
		message: message, store: h.cfg.Store, logger: a.logger,
	}
	if h.cfg.Logs != nil {
		flusher.growing = &growinglog.Log{Job: a.record.ID, Attempt: a.record.Attempt, Source: &a.run.log, Ledger: h.cfg.Logs}
	}
	flusher.start(a.stop.guard)
	err := h.runner.run(a)
	h.running.remove(a)

	end, done := extend(ctx, finishTime)
	defer done()
	safely := func(step string, f func()) bool { return h.panics.safely(end, a.record.ID, step, f) }
	safely("files", func() { h.finisher.keepFiles(end, a, err) })
	safely("log", func() { flusher.endLog(end); flusher.storeSeries(end) })
	ending, stale := h.finisher.finish(end, a, err)
	safely("compare", func() {
		if stale {
			a.publication.Stale(end)
		} else if ending != nil && ending.Result != nil {
			a.publication.Recorded(end)
		}
	})
	if ending != nil && ending.State == jobs.Succeeded {
		safely("checkpoints", func() { a.checkpoints.Done(end) })
	}
	flusher.stop()
	if !safely("acknowledge", func() { h.ack.afterAttempt(end, message, a, ending) }) {
		h.ack.release(end, message, a.record.Priority, h.ack.spread(elsewhereDelay))
	}
	if !safely("tidy", func() { tidy(a) }) {
		safely("tidy", func() { a.res.scratch.Close(time.Time{}) })
	}
	if f, failed := errors.AsType[*fault.Fault](err); failed && f.Node {
		a.publication.Note(end, "trouble", f.Message)
		h.trouble.Fault(a.start, f.Message)
		return false
	}
	if a.run.exit != nil {
		h.trouble.Success(a.start)
	}
	return ending != nil || stale
}

// tidy removes what the attempt has left on disk.
func tidy(a *attempt) {
	start := a.start
	if exit := a.run.exit; exit != nil && exit.Escaped > 0 {
		a.logger.Warn("descendants of a program could not be ended", "processes", exit.Escaped)
		start = time.Time{} // they may still change the directory
	}
	a.res.scratch.Close(start)
	if a.run.folder != nil {
		a.run.folder.Abandon()
	}
}
