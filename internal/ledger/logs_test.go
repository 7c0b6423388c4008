package ledger

import (
	"slices"
	"testing"

	"github.com/runnerbean/runnerbean/internal/ledger/logs"
	"github.com/runnerbean/runnerbean/internal/logtext"
	"github.com/runnerbean/runnerbean/jobs"
)

// TestLogs appends to the log of a running attempt, reads it and finds it after the end.
func TestLogs(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	id := d.add(nil)
	attempt := d.run(id)
	appendLog := func(want bool, tail int64, chunks ...logtext.Chunk) {
		t.Helper()
		kept, err := d.Logs.Append(t.Context(), id, attempt, chunks, tail)
		d.must(err)
		if kept != want {
			t.Errorf("kept %t, want %t", kept, want)
		}
	}
	positions := func(from int64) (list []int64) {
		t.Helper()
		log, _, err := d.Logs.Read(t.Context(), id, attempt, from)
		d.must(err)
		for _, c := range log.Chunks {
			list = append(list, c.Position)
		}
		return list
	}
	appendLog(true, 0, logtext.Chunk{Data: []byte("head")})
	appendLog(true, 0, logtext.Chunk{Position: 4, Data: []byte("\x00\xff")}, logtext.Chunk{Position: logtext.EndSize, Data: []byte("dropped")})
	appendLog(true, 0, logtext.Chunk{Position: 4, Data: []byte("\x00\xff")}) // again, after a lost answer
	appendLog(true, 2*logtext.EndSize, logtext.Chunk{Position: 2 * logtext.EndSize, Data: []byte("tail")})
	for from, want := range map[int64][]int64{
		0: {0, 4, 2 * logtext.EndSize}, 4: {4, 2 * logtext.EndSize}, 5: {4, 2 * logtext.EndSize},
		2*logtext.EndSize + 1: {2 * logtext.EndSize}, 9 * logtext.EndSize: {2 * logtext.EndSize},
	} {
		if got := positions(from); !slices.Equal(got, want) {
			t.Errorf("from %d: chunks at %v, want %v", from, got, want)
		}
	}
	left := func(want ...logs.Attempt) {
		t.Helper()
		got, err := d.Logs.Left(t.Context())
		d.must(err)
		if !slices.Equal(got, want) {
			t.Errorf("left are %v, want %v", got, want)
		}
	}
	left()
	_, err := d.Finish(t.Context(), id, attempt, Ending{Outcome: jobs.OutcomeFailed, State: jobs.Failed})
	d.must(err)
	appendLog(false, 0, logtext.Chunk{Position: 9 * logtext.EndSize, Data: []byte("stale")})
	left(logs.Attempt{Job: id, Number: attempt})
	d.must(d.Logs.Delete(t.Context(), id, attempt))
	left()
	if got := positions(0); got != nil {
		t.Errorf("chunks at %v after the deletion", got)
	}
}
