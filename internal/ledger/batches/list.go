package batches

import (
	"context"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/jobs"
)

var (
	qByNumber = engine.NewQuery("SELECT " + columns + ` FROM jobs WHERE batch = ? AND batch <> '' AND frame >= ? AND frame <= ?
		ORDER BY frame LIMIT ?`)
	qByState = engine.NewQuery("SELECT " + columns + ` FROM jobs WHERE batch = ? AND batch <> '' AND frame IN (SELECT frame FROM jobs
		WHERE batch = ? AND batch <> '' AND state = ? AND +frame >= ? AND +frame <= ? ORDER BY +frame LIMIT ?) ORDER BY frame`)
	qSlowest = engine.NewQuery("SELECT " + columns + ` FROM jobs WHERE batch = ? AND batch <> '' AND frame IN (SELECT frame FROM jobs
		WHERE batch = ? AND batch <> '' AND state IN ('succeeded', 'failed', 'cancelled') AND started > 0 AND +frame >= 0
		ORDER BY finished - started DESC, frame LIMIT ?) ORDER BY finished - started DESC, frame`)
	qRanges = engine.NewQuery(`SELECT frame / ?, state, COUNT(*) FROM jobs WHERE batch = ? AND batch <> '' AND +frame >= 0
		GROUP BY 1, 2 ORDER BY 1 LIMIT ?`)
)

// List returns the frames with numbers from first to last, by number; with a state only those
// that have it.
func (b *Batches) List(ctx context.Context, batch string, state jobs.State, first, last, limit int) (list []Frame, err error) {
	if state == "" {
		list, err = b.frames(ctx, qByNumber, batch, first, last, limit)
	} else {
		list, err = b.frames(ctx, qByState, batch, batch, string(state), first, last, limit)
	}
	return list, engine.Wrap("frames", err)
}

// Slowest returns the frames that have ended and whose newest attempts ran longest, the longest
// first.
func (b *Batches) Slowest(ctx context.Context, batch string, limit int) ([]Frame, error) {
	list, err := b.frames(ctx, qSlowest, batch, batch, limit)
	return list, engine.Wrap("slowest frames", err)
}

// Range counts neighbouring frames by state.
type Range struct {
	First  int // number; the range has those from it to First + the width - 1
	States map[jobs.State]int
}

// Ranges counts the frames of a batch in ranges of numbers of a width, by number. It leaves out
// ranges without frames, and reads at most limit pairs of range and state.
func (b *Batches) Ranges(ctx context.Context, batch string, width, limit int) (list []Range, err error) {
	err = b.ledger.Each(ctx, qRanges, []any{width, batch, limit}, func(r engine.Row) error {
		var at, n int
		var state jobs.State
		if err := r.Scan(&at, (*string)(&state), &n); err != nil {
			return err
		}
		if len(list) == 0 || list[len(list)-1].First != at*width {
			list = append(list, Range{First: at * width, States: map[jobs.State]int{}})
		}
		list[len(list)-1].States[state] = n
		return nil
	})
	return list, engine.Wrap("ranges of frames", err)
}

var qBounds = engine.NewQuery("SELECT COALESCE(MIN(frame), 0), COALESCE(MAX(frame), 0), COUNT(*) FROM jobs WHERE batch = ? AND batch <> '' AND frame >= 0")

// Bounds returns the smallest and the largest number of the frames that the ledger holds, and
// how many there are.
func (b *Batches) Bounds(ctx context.Context, batch string) (first, last, n int, err error) {
	_, err = b.ledger.Row(ctx, qBounds, []any{batch}, &first, &last, &n)
	return first, last, n, engine.Wrap("bounds of frames", err)
}

var qOf = engine.NewQuery("SELECT batch, frame FROM jobs WHERE id = ?")

// Of returns the batch of a job and its number there. The batch is empty for a job that is no
// frame.
func (b *Batches) Of(ctx context.Context, job string) (batch string, number int, err error) {
	_, err = b.ledger.Row(ctx, qOf, []any{job}, &batch, &number)
	return batch, number, engine.Wrap("batch of a job", err)
}
