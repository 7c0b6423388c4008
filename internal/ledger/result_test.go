package ledger

import (
	"errors"
	"testing"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/results"
	"github.com/runnerbean/runnerbean/jobs"
)

// The transaction that ends a job publishes its result, once, and for the newest attempt.
func TestFinishPublishesTheResult(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	id := d.add(nil)
	attempt := d.run(id)
	ending := Ending{Outcome: jobs.OutcomeSucceeded, State: jobs.Succeeded, Result: []byte(`{"first":true}`)}
	if _, err := d.Finish(t.Context(), id, attempt+1, ending); !errors.Is(err, ErrStale) {
		t.Errorf("finish of another attempt: %v, want %v", err, ErrStale)
	}
	d.wantResult(id, "")
	large := ending
	large.Result = make([]byte, results.Max+1)
	if _, err := d.Finish(t.Context(), id, attempt, large); !errors.Is(err, engine.ErrTooBig) {
		t.Errorf("finish with a large result: %v, want %v", err, engine.ErrTooBig)
	}
	d.wantResult(id, "")
	if _, err := d.Finish(t.Context(), id, attempt, ending); err != nil {
		t.Fatal(err)
	}
	ending.Result = []byte(`{"first":false}`)
	if _, err := d.Finish(t.Context(), id, attempt, ending); !errors.Is(err, ErrStale) {
		t.Errorf("second finish: %v, want %v", err, ErrStale)
	}
	d.wantResult(id, `{"first":true}`)
}

// wantResult checks the result of a job in the ledger; "" means none.
func (d *fixture) wantResult(id, want string) {
	d.t.Helper()
	got, found, err := d.Results.Get(d.t.Context(), id)
	if err != nil || found != (want != "") || string(got.Document) != want {
		d.t.Errorf("result %q, found %t, %v; want %q", got.Document, found, err, want)
	}
}

// TestReusable deletes jobs with results and runs as many again: they use the room that the
// first ones left, and the file does not grow.
func TestReusable(t *testing.T) {
	t.Parallel()
	d := newFileFixture(t)
	const size, count = 50_000, 20
	end := func() (ids []string) {
		for range count {
			id := d.add(nil)
			ending := Ending{Outcome: jobs.OutcomeSucceeded, State: jobs.Succeeded, Result: make([]byte, size)}
			_, err := d.Finish(t.Context(), id, d.run(id), ending)
			d.must(err)
			ids = append(ids, id)
		}
		return ids
	}
	first := end()
	before, pages := d.reusable(), d.filePages()
	for _, id := range first {
		_, err := d.act(VerbDelete, id)
		d.must(err)
	}
	if got := d.reusable() - before; got < size*count || d.filePages() != pages {
		t.Errorf("%d bytes are free in the file, want %d; the file had %d pages and has %d", got, size*count, pages, d.filePages())
	}
	seen, err := Peek(t.Context(), "sqlite:"+d.path)
	if d.must(err); seen.Reusable != d.reusable() {
		t.Errorf("another process sees %d bytes, want %d", seen.Reusable, d.reusable())
	}
	end()
	if got := d.reusable() - before; got > size || d.filePages() != pages {
		t.Errorf("%d bytes are still free in the file; it had %d pages and has %d", got, pages, d.filePages())
	}
}

func (d *fixture) reusable() int64 {
	d.t.Helper()
	n, err := d.Results.Reusable(d.t.Context())
	d.must(err)
	return n
}

// filePages returns the length of the file.
func (d *fixture) filePages() (n int64) {
	d.t.Helper()
	d.must(sqlDB(d.Ledger).QueryRow("PRAGMA page_count").Scan(&n))
	return n
}
