// Package chunks records the parts of a larger work that attempts of a job have worked on, as
// their programs say.
package chunks

import (
	"context"
	"slices"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

// Keep is how many chunks of an attempt are kept, the newest ones.
const Keep = 1000

// Chunk is a chunk that an attempt has begun.
type Chunk struct {
	ID string
	// Of says of how many, or of what. It may be empty.
	Of string
	// Number grows with each chunk that the attempt begins.
	Number  int
	Attempt int // set by List
	Began   time.Time
}

// Chunks are the chunks in a ledger.
type Chunks struct{ ledger engine.Access }

// New returns the chunks in a ledger.
func New(ledger engine.Access) *Chunks { return &Chunks{ledger} }

var (
	qAdd = engine.NewManyRows("INSERT INTO chunks (job, attempt, id, number, whole, began) VALUES ", 6,
		" ON CONFLICT (job, attempt, id) DO UPDATE SET number = excluded.number, whole = excluded.whole, began = excluded.began")
	qForget = engine.NewQuery("DELETE FROM chunks WHERE job = ? AND attempt = ? AND number <= ?")
	qList   = engine.NewQuery("SELECT id, whole, number, attempt, began FROM chunks WHERE job = ? ORDER BY attempt DESC, number DESC LIMIT ?")
)

// Add records chunks that an attempt has begun, in the order of their numbers, and deletes the
// oldest ones if there are more than Keep. A chunk that it begins again is a new one.
func Add(t engine.Tx, job string, attempt int, list []Chunk) error {
	if len(list) == 0 {
		return nil
	}
	newest := list[len(list)-1].Number
	list = lastOfEach(list)
	err := qAdd.Split(len(list), func(q *engine.Query, from, to int) error {
		args := make([]any, 0, 6*(to-from))
		for _, c := range list[from:to] {
			args = append(args, job, attempt, c.ID, c.Number, c.Of, engine.Micros(c.Began))
		}
		return t.Queue(q, args...)
	})
	if err != nil || newest <= Keep {
		return err
	}
	return t.Queue(qForget, job, attempt, newest-Keep)
}

// lastOfEach leaves the last one of those with the same id: a statement cannot change a row
// twice.
func lastOfEach(list []Chunk) []Chunk {
	kept, seen := make([]Chunk, 0, len(list)), map[string]bool{}
	for _, c := range slices.Backward(list) {
		if !seen[c.ID] {
			seen[c.ID] = true
			kept = append(kept, c)
		}
	}
	slices.Reverse(kept)
	return kept
}

// List returns the chunks of a job, at most limit of them: those of the newest attempt first,
// and of each attempt the newest first.
func (c *Chunks) List(ctx context.Context, job string, limit int) (list []Chunk, err error) {
	err = c.ledger.Each(ctx, qList, []any{job, limit}, func(r engine.Row) error {
		var v Chunk
		var began int64
		err := r.Scan(&v.ID, &v.Of, &v.Number, &v.Attempt, &began)
		v.Began = engine.FromMicros(began)
		list = append(list, v)
		return err
	})
	return list, engine.Wrap("chunks", err)
}
