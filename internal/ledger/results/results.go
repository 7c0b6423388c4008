// Package results holds the small results of jobs. The transaction that ends a job writes
// its result, so that a success always has one. Larger results are objects of the store.
package results

import (
	"context"
	"fmt"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

// Max is the size of the largest result that the ledger takes, in bytes.
const Max = 1 << 20

// Results are the results in a ledger.
type Results struct{ ledger engine.Access }

// New returns the results in a ledger.
func New(ledger engine.Access) *Results { return &Results{ledger} }

// Result is the result document of a job and when it was published.
type Result struct {
	Document []byte
	At       time.Time
}

var (
	qGet    = engine.NewQuery("SELECT at, document FROM results WHERE job = ?")
	qSize   = engine.NewQuery("SELECT octet_length(document) FROM results WHERE job = ?")
	qInsert = engine.NewQuery("INSERT INTO results (job, at, document) VALUES (?, ?, ?) ON CONFLICT (job) DO NOTHING")
)

// Get returns the result of a job. found is false if the ledger has none: the job has not
// succeeded, or its result is in the store.
func (r *Results) Get(ctx context.Context, job string) (result Result, found bool, err error) {
	var at int64
	found, err = r.ledger.Row(ctx, qGet, []any{job}, &at, &result.Document)
	result.At = engine.FromMicros(at)
	return result, found, engine.Wrap("result", err)
}

// Size returns the size of the result of a job in bytes, without reading it. found is as
// for Get.
func (r *Results) Size(ctx context.Context, job string) (size int64, found bool, err error) {
	found, err = r.ledger.Row(ctx, qSize, []any{job}, &size)
	return size, found, engine.Wrap("result", err)
}

// Reusable returns the room inside the ledger's file in bytes: what deleted jobs left, and
// new ones use before the file grows. It reads one page.
func (r *Results) Reusable(ctx context.Context) (size int64, err error) {
	_, err = r.ledger.Row(ctx, engine.Reusable, nil, &size)
	return size, engine.Wrap("reusable", err)
}

// Insert writes the result of a job unless it has one: the first result wins. It returns
// engine.ErrTooBig for a document larger than Max.
func Insert(t engine.Tx, job string, document []byte) error {
	if len(document) > Max {
		return fmt.Errorf("a result of %d bytes: %w", len(document), engine.ErrTooBig)
	}
	return t.Queue(qInsert, job, engine.Micros(t.Now()), document)
}
