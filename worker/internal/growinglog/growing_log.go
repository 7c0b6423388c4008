// Package growinglog appends the logs of running programs to the ledger, where the store is
// a bucket.
package growinglog

import (
	"context"
	"time"

	"github.com/runnerbean/runnerbean/internal/logtext"
	"github.com/runnerbean/runnerbean/worker/internal/process"
)

// Ledger takes logs; *logs.Logs implements it.
type Ledger interface {
	Append(ctx context.Context, job string, attempt int, chunks []logtext.Chunk, tail int64) (kept bool, err error)
	Delete(ctx context.Context, job string, attempt int) error
}

// maxRate bounds what one program makes the ledger write, in bytes per second: after a large
// append the next one comes later.
const maxRate = 64 << 10

// appendTime bounds one append, so that a ledger that is away does not keep the caller from
// other work.
const appendTime = 5 * time.Second

// Log appends the log of a running attempt. One goroutine uses it at a time.
type Log struct {
	Ledger  Ledger
	Job     string
	Attempt int
	Source  *process.Log // what the program writes

	appended int64   // position after the last byte that the ledger has
	starts   []int64 // positions of the chunks that the ledger has after the head
	next     time.Time
	stale    bool // the attempt does not own the job any more
}

// Grow appends what is new, unless the last append was so large that it is too early.
func (l *Log) Grow(ctx context.Context) error {
	if l.stale || time.Now().Before(l.next) {
		return nil
	}
	chunks := l.Source.Since(l.appended)
	if len(chunks) == 0 {
		return nil
	}
	end := chunks[len(chunks)-1].End()
	starts := tailOf(append(l.starts, startsOf(chunks)...), end)
	var tail int64
	if len(starts) > 0 {
		tail = starts[0]
	}
	ctx, cancel := context.WithTimeout(ctx, appendTime)
	defer cancel()
	kept, err := l.Ledger.Append(ctx, l.Job, l.Attempt, chunks, tail)
	if err != nil {
		return err
	}
	l.appended, l.starts, l.stale = end, starts, !kept
	l.next = time.Now().Add(time.Duration(size(chunks)) * time.Second / maxRate)
	return nil
}

// startsOf returns the positions of the chunks that do not belong to the head.
func startsOf(chunks []logtext.Chunk) (starts []int64) {
	for _, c := range chunks {
		if c.Position >= logtext.EndSize {
			starts = append(starts, c.Position)
		}
	}
	return starts
}

// tailOf returns the positions of the chunks that hold the tail of a log of end bytes.
func tailOf(starts []int64, end int64) []int64 {
	for len(starts) > 1 && starts[1] <= end-logtext.EndSize {
		starts = starts[1:]
	}
	return starts
}

func size(chunks []logtext.Chunk) (n int) {
	for _, c := range chunks {
		n += len(c.Data)
	}
	return n
}

// End deletes the log from the ledger if the store has it. Else it appends the rest: call it
// before the end of the attempt is recorded.
func (l *Log) End(ctx context.Context, stored bool) error {
	switch {
	case !stored:
		l.next = time.Time{}
		return l.Grow(ctx)
	case l.appended == 0:
		return nil
	}
	return l.Ledger.Delete(ctx, l.Job, l.Attempt)
}
