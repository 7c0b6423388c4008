package ledger

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/activity"
	"github.com/runnerbean/runnerbean/internal/ledger/changes"
	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/internal/ledger/outbox"
	"github.com/runnerbean/runnerbean/internal/ledger/recent"
	"github.com/runnerbean/runnerbean/internal/panics"
	"github.com/runnerbean/runnerbean/jobs"
)

// op is one operation. run may be called again after a rollback; it then starts from
// nothing.
type op struct {
	name   string // for Config.Observe
	run    func(*txn) error
	soft   bool
	weight int
	state  opState
	early  bool  // answered before it is on the disk; the sync starts at once
	later  *op   // of an early operation that was answered: answered after the sync
	hard   bool  // changed something that must be on the disk
	commit int64 // the number of its batch
	err    error
	done   chan struct{} // closed when it is answered
}

// synced waits until an early operation is on the disk.
func (o *op) synced() error {
	<-o.later.done
	return o.later.err
}

// opState decides between the writer that begins an operation and the caller that gives
// it up. Only one of them succeeds.
type opState struct{ v atomic.Int32 }

const (
	begun     = 1
	abandoned = 2
)

// start reports whether the operation may run, for the first time or again.
func (s *opState) start() bool { return s.v.CompareAndSwap(0, begun) || s.v.Load() == begun }

func (s *opState) abandon() bool { return s.v.CompareAndSwap(0, abandoned) }

// txn is the transaction in which operations run. It stages what each operation counts,
// notes and changes, and keeps that if the operation succeeds.
type txn struct {
	w         engine.Writer
	failure   *failure
	log       *slog.Logger
	clock     func() time.Time
	listeners *changes.Listeners
	activity  *activity.Counters
	outbox    *outbox.Outbox
	nodes     *nodes.Registry

	now  time.Time
	full *engine.FullDisk

	wrote  bool // the current operation has changed something
	broken bool // SQL failed: the transaction may be gone
	staged effects
	all    effects

	// What this process has just written, so that the next step of a job need not read it.
	// It proves nothing: the step changes only a row that is still the same.
	accepted recent.Jobs[Record]
	claimed  recent.Jobs[claimedJob]

	remaining bool  // dependents are left for another transaction
	missing   *bool // whether any job waits for one that was never submitted
}

// claimedJob is what a claim knows of a running job.
type claimedJob struct {
	attempt       int
	node, program string
	started, due  int64 // as in the row
}

// effects are the results of operations beside their rows. They are written at the
// commit.
type effects struct {
	counts  []activity.StateCount
	ended   []activity.Ended
	hooks   []outbox.Hook
	events  []eventlog.Event
	changed []string // ids
}

func (e *effects) reset() {
	*e = effects{counts: e.counts[:0], ended: e.ended[:0], hooks: e.hooks[:0], events: e.events[:0], changed: e.changed[:0]}
}

func (e *effects) add(o *effects) {
	for i := range o.counts {
		e.counts = activity.AddCount(e.counts, &o.counts[i])
	}
	for i := range o.ended {
		e.ended = activity.AddEnded(e.ended, &o.ended[i])
	}
	e.hooks = append(e.hooks, o.hooks...)
	e.events = append(e.events, o.events...)
	e.changed = append(e.changed, o.changed...)
}

func (t *txn) reset() {
	t.now = t.clock()
	t.broken, t.remaining, t.missing = false, false, nil
	t.all.reset()
	t.staged.reset()
}

// operate runs one operation and keeps its effects.
func (t *txn) operate(o *op) error {
	t.wrote = false
	t.staged.reset()
	if err := panics.Call(func() error { return o.run(t) }); err != nil {
		// It is unknown how far an operation came that panicked.
		t.broken = t.broken || t.panicked(o.name, err)
		return err
	}
	if len(t.staged.events) > 0 {
		t.wrote = true // they are written at the end
	}
	o.hard = t.wrote && !o.soft
	t.all.add(&t.staged)
	return nil
}

// panicked reports whether err is a panic, and logs it.
func (t *txn) panicked(op string, err error) bool {
	var caught *panics.Error
	if !errors.As(err, &caught) {
		return false
	}
	t.log.Error("an operation of the ledger panicked; it was rolled back", "op", op, "err", caught, "stack", caught.Stack)
	return true
}

// commit writes the effects and commits.
func (t *txn) commit(durable bool) (err error) {
	defer panics.Recover(&err)
	if err := eventlog.Write(t, t.all.events); err != nil {
		return err
	}
	if err := activity.WriteCounts(t, t.all.counts); err != nil {
		return err
	}
	if err := activity.Write(t, t.all.ended); err != nil {
		return err
	}
	if err := t.outbox.Write(t, t.all.hooks); err != nil {
		return err
	}
	return t.w.Commit(durable)
}

// Exec changes rows and returns their number.
func (t *txn) Exec(q *engine.Query, args ...any) (int64, error) {
	n, err := t.w.Exec(q, args...)
	t.broken = t.broken || err != nil
	t.wrote = t.wrote || n > 0
	return n, err
}

// Queue runs q before the next statement, or at the commit, which returns its error.
func (t *txn) Queue(q *engine.Query, args ...any) error {
	err := t.w.Queue(q, args...)
	t.broken = t.broken || err != nil
	t.wrote = true
	return err
}

// Row scans the first row of q. q may be a change that returns a row.
func (t *txn) Row(q *engine.Query, args []any, dest ...any) (bool, error) {
	found, err := t.w.Row(q, args, dest...)
	t.broken = t.broken || err != nil
	return found, err
}

// Change is Row for a statement that changes something.
func (t *txn) Change(q *engine.Query, args []any, dest ...any) (bool, error) {
	found, err := t.Row(q, args, dest...)
	t.wrote = t.wrote || found
	return found, err
}

// Each calls scan for every row of q. It reads all rows before another statement runs.
func (t *txn) Each(q *engine.Query, args []any, scan func(engine.Row) error) error {
	err := t.w.Each(q, args, scan)
	t.broken = t.broken || err != nil
	return err
}

// Strings reads a column of text.
func (t *txn) Strings(q *engine.Query, args ...any) (list []string, err error) {
	err = t.Each(q, args, func(r engine.Row) error {
		var s string
		err := r.Scan(&s)
		list = append(list, s)
		return err
	})
	return list, err
}

// Changed records that a job changed.
func (t *txn) Changed(id string) { t.staged.changed = append(t.staged.changed, id) }

// Now returns the time of the transaction.
func (t *txn) Now() time.Time { return t.now }

// errAlone means that the operations of a batch must run in transactions of their own.
var errAlone = errors.New("operations have to run alone")

// run runs ops, and what more adds to them once the transaction has begun, in one transaction.
// It returns all of them and sets the err of each. If it returns errAlone,
// nothing was changed.
func (t *txn) run(ops []*op, more func([]*op) []*op) ([]*op, error) {
	t.reset()
	defer func() {
		for _, o := range ops {
			t.full.Note(o.err)
		}
	}()
	if err := t.failure.Err(); err != nil {
		return ops, failAll(ops, err)
	}
	if err := t.w.Begin(); err != nil {
		if errors.Is(err, ErrNewer) {
			err = t.failure.fail("begin", err)
		}
		return ops, failAll(ops, fmt.Errorf("begin: %w", err))
	}
	if more != nil {
		ops = more(ops)
	}
	for _, o := range ops {
		if !o.state.start() {
			continue // its caller has given up
		}
		o.err = t.operate(o)
		if o.err != nil && (t.wrote || t.broken) {
			t.w.Rollback()
			if len(ops) > 1 {
				return ops, errAlone
			}
			return ops, o.err
		}
	}
	if err := t.commit(slices.ContainsFunc(ops, func(o *op) bool { return o.hard })); err != nil {
		t.w.Rollback()
		switch {
		case t.panicked("commit", err) && len(ops) > 1:
			return ops, errAlone
		case t.w.Lost(err):
			err = t.failure.fail("commit", err)
		}
		return ops, failAll(ops, fmt.Errorf("commit: %w", err))
	}
	t.activity.Late(t.all.ended)
	t.listeners.Notify(t.log, t.all.changed)
	return ops, nil
}

func failAll(ops []*op, err error) error {
	for _, o := range ops {
		o.err = err
	}
	return err
}

// note stages an event that no person caused.
func (t *txn) note(kind, job, node, message string) { t.Note("", kind, job, node, message) }

// Note stages an event. by is the person who caused it, or "".
func (t *txn) Note(by, kind, job, node, message string) {
	t.staged.events = append(t.staged.events, eventlog.Event{Kind: kind, Job: job, Node: node, By: by, Message: message, At: t.now})
}

// count moves one job of a program from a state to another. "" means none.
func (t *txn) count(program string, from, to jobs.State) {
	t.countOne(program, from, -1)
	t.countOne(program, to, 1)
}

func (t *txn) countOne(program string, state jobs.State, n int64) {
	t.staged.counts = activity.Count(t.staged.counts, program, state, n)
}
