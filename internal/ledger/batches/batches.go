// Package batches reads the frames of batches. A batch is a job of the program
// jobs.BatchProgram, and each of its frames is a job that has the id of the batch in a column.
package batches

import (
	"context"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/jobs"
)

// Bundle is the number of the job that makes the bundle of a batch.
const Bundle = -1

const columns = "frame, id, state, started, finished, attempt"

// Batches reads frames. [ledger.Ledger] has it.
type Batches struct{ ledger engine.Access }

// New returns the Batches of a ledger.
func New(a engine.Access) *Batches { return &Batches{a} }

// Frame is one frame as it stands.
type Frame struct {
	Number            int
	Job               string // its id
	State             jobs.State
	Started, Finished time.Time // of the newest attempt; zero if there is none
	Attempt           int
}

// Run returns how long the newest attempt ran, until now if it runs.
func (f *Frame) Run(now time.Time) time.Duration {
	switch {
	case f.Started.IsZero():
		return 0
	case f.Finished.Before(f.Started):
		return max(0, now.Sub(f.Started))
	}
	return f.Finished.Sub(f.Started)
}

// A + before a column keeps its index from being used: the other one has all that is needed.
var (
	qDue = engine.NewQuery(`SELECT id FROM jobs WHERE state = 'queued' AND program = '` + jobs.BatchProgram + `' AND due <= ?
		ORDER BY due LIMIT ?`)
	qCancelled = engine.NewQuery(`SELECT id FROM jobs WHERE program = '` + jobs.BatchProgram + `' AND state = 'cancelled'
		AND state NOT IN ('queued', 'running') AND updated > ? ORDER BY accepted DESC, id DESC LIMIT ?`)
	qStates  = engine.NewQuery("SELECT state, COUNT(*) FROM jobs WHERE batch = ? AND batch <> '' AND +frame >= 0 GROUP BY state")
	qNumbers = engine.NewQuery("SELECT frame FROM jobs WHERE batch = ? AND batch <> '' AND frame >= 0")
	qEnded   = engine.NewQuery(`SELECT finished, finished - started FROM jobs WHERE batch = ? AND batch <> '' AND state = 'succeeded'
		AND finished > ? AND +frame >= 0 ORDER BY finished LIMIT ?`)
	qCountOpen = engine.NewQuery(`SELECT COUNT(*) FROM (SELECT 1 FROM jobs WHERE batch = ? AND batch <> ''
		AND state IN ('waiting', 'queued', 'running') AND +frame >= ? LIMIT ?) AS unended`)
	qOpen = engine.NewQuery("SELECT " + columns + ` FROM jobs WHERE batch = ? AND batch <> '' AND frame > ?
		AND state IN ('waiting', 'queued', 'running') ORDER BY frame LIMIT ?`)
	qUnsuccessful = engine.NewQuery("SELECT " + columns + ` FROM jobs WHERE batch = ? AND batch <> '' AND state IN ('failed', 'cancelled')
		AND finished < ? AND +frame > ? ORDER BY +frame LIMIT ?`)
)

// Due returns the batches that are queued and may run now, the oldest first.
func (b *Batches) Due(ctx context.Context, limit int) ([]string, error) {
	list, err := b.strings(ctx, qDue, engine.Micros(b.ledger.Now()), limit)
	return list, engine.Wrap("due batches", err)
}

// Cancelled returns batches that were cancelled after a time, the newest first.
func (b *Batches) Cancelled(ctx context.Context, after time.Time, limit int) ([]string, error) {
	list, err := b.strings(ctx, qCancelled, engine.Micros(after), limit)
	return list, engine.Wrap("cancelled batches", err)
}

func (b *Batches) strings(ctx context.Context, q *engine.Query, args ...any) (list []string, err error) {
	err = b.ledger.Each(ctx, q, args, func(r engine.Row) error {
		var s string
		err := r.Scan(&s)
		list = append(list, s)
		return err
	})
	return list, err
}

// States counts the frames of a batch by state, without its bundle.
func (b *Batches) States(ctx context.Context, batch string) (map[jobs.State]int, error) {
	states := map[jobs.State]int{}
	err := b.ledger.Each(ctx, qStates, []any{batch}, func(r engine.Row) error {
		var state jobs.State
		var n int
		err := r.Scan((*string)(&state), &n)
		states[state] = n
		return err
	})
	return states, engine.Wrap("states of frames", err)
}

// Numbers returns the numbers of the frames that the ledger holds.
func (b *Batches) Numbers(ctx context.Context, batch string) (map[int]bool, error) {
	numbers := map[int]bool{}
	err := b.ledger.Each(ctx, qNumbers, []any{batch}, func(r engine.Row) error {
		var n int
		err := r.Scan(&n)
		numbers[n] = true
		return err
	})
	return numbers, engine.Wrap("numbers of frames", err)
}

// Ended calls see with the time that frames took that succeeded after a time, at most limit of
// them, the earliest first. It returns when the last of them ended.
func (b *Batches) Ended(ctx context.Context, batch string, after time.Time, limit int, see func(time.Duration)) (last time.Time, n int, err error) {
	last = after
	err = b.ledger.Each(ctx, qEnded, []any{batch, engine.Micros(after), limit}, func(r engine.Row) error {
		var finished, took int64
		err := r.Scan(&finished, &took)
		last = engine.FromMicros(finished)
		see(engine.Microseconds(max(0, took)))
		n++
		return err
	})
	return last, n, engine.Wrap("ended frames", err)
}

// CountOpen returns how many frames have not ended, of those with numbers from first on, and at
// most limit.
func (b *Batches) CountOpen(ctx context.Context, batch string, first, limit int) (n int, err error) {
	_, err = b.ledger.Row(ctx, qCountOpen, []any{batch, first, limit}, &n)
	return n, engine.Wrap("open frames", err)
}

// Open returns frames that have not ended, also the bundle, with numbers above after.
func (b *Batches) Open(ctx context.Context, batch string, after, limit int) ([]Frame, error) {
	list, err := b.frames(ctx, qOpen, batch, after, limit)
	return list, engine.Wrap("open frames", err)
}

// Unsuccessful returns frames that failed or were cancelled before a time, also the bundle,
// with numbers above after.
func (b *Batches) Unsuccessful(ctx context.Context, batch string, after int, before time.Time, limit int) ([]Frame, error) {
	list, err := b.frames(ctx, qUnsuccessful, batch, engine.Micros(before), after, limit)
	return list, engine.Wrap("frames without success", err)
}

func (b *Batches) frames(ctx context.Context, q *engine.Query, args ...any) (list []Frame, err error) {
	err = b.ledger.Each(ctx, q, args, func(r engine.Row) error {
		var f Frame
		var started, finished int64
		err := r.Scan(&f.Number, &f.Job, (*string)(&f.State), &started, &finished, &f.Attempt)
		f.Started, f.Finished = engine.FromMicros(started), engine.FromMicros(finished)
		list = append(list, f)
		return err
	})
	return list, err
}
