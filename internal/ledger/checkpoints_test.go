package ledger

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/checkpoints"
	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/jobs"
)

// begin begins a checkpoint, and fails the test unless it is refused as wanted.
func (d *fixture) begin(id string, attempt int, want bool) checkpoints.Checkpoint {
	d.t.Helper()
	n, ok, err := d.Checkpoints.Begin(d.t.Context(), id, attempt)
	d.must(err)
	if ok != want {
		d.t.Fatalf("begun %t, want %t", ok, want)
	}
	return checkpoints.Checkpoint{Job: id, Number: n, Attempt: attempt, SHA256: fmt.Sprint("sum", n), Size: int64(n)}
}

func (d *fixture) recordCheckpoint(c checkpoints.Checkpoint, want bool) {
	d.t.Helper()
	ok, err := d.Checkpoints.Record(d.t.Context(), c)
	d.must(err)
	if ok != want {
		d.t.Errorf("checkpoint %d recorded %t, want %t", c.Number, ok, want)
	}
}

// save begins and records a checkpoint.
func (d *fixture) save(id string, attempt int) {
	d.t.Helper()
	d.recordCheckpoint(d.begin(id, attempt, true), true)
}

// wantCheckpoints demands the numbers of the checkpoints of a job that are kept, and of all
// that are dropped.
func (d *fixture) wantCheckpoints(id string, kept, dropped []int) {
	d.t.Helper()
	list, err := d.Checkpoints.Kept(d.t.Context(), id)
	d.must(err)
	gone, err := d.Checkpoints.Dropped(d.t.Context(), checkpoints.Key{})
	d.must(err)
	numbers := func(list []checkpoints.Checkpoint) (n []int) {
		for _, c := range list {
			n = append(n, c.Number)
		}
		return n
	}
	if got := numbers(list); !slices.Equal(got, kept) {
		d.t.Errorf("kept are %v, want %v", got, kept)
	}
	if got := numbers(gone); !slices.Equal(got, dropped) {
		d.t.Errorf("dropped are %v, want %v", got, dropped)
	}
	for _, c := range list {
		if c.Job != id || c.SHA256 != fmt.Sprint("sum", c.Number) || c.Size != int64(c.Number) || c.At.IsZero() {
			d.t.Errorf("%+v", c)
		}
	}
}

func TestTwoCheckpointsAreKept(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	id := d.add(nil)
	n := d.run(id)
	for range 3 {
		d.save(id, n)
	}
	d.wantCheckpoints(id, []int{3, 2}, []int{1})
	failed := d.begin(id, n, true)
	d.must(d.Checkpoints.Abandon(t.Context(), id, failed.Number))
	d.recordCheckpoint(failed, false)
	d.wantCheckpoints(id, []int{3, 2}, []int{1, 4})
	gone, err := d.Checkpoints.Dropped(t.Context(), checkpoints.Key{Job: id, Number: 1})
	d.must(err)
	if len(gone) != 1 || gone[0].Number != 4 || gone[0].Attempt != n {
		t.Errorf("after the first: %+v", gone)
	}
	d.must(d.Checkpoints.Forget(t.Context(), []checkpoints.Checkpoint{{Job: id, Number: 1}, {Job: id, Number: 4}, {Job: id, Number: 2}}))
	d.wantCheckpoints(id, []int{3, 2}, nil) // what is kept is not forgotten
	d.must(d.Checkpoints.Done(t.Context(), id))
	d.wantCheckpoints(id, []int{3, 2}, nil) // the job has not succeeded
	d.end(id, n, jobs.Succeeded, jobs.OutcomeSucceeded)
	d.must(d.Checkpoints.Done(t.Context(), id))
	d.wantCheckpoints(id, nil, []int{2, 3})
}

// An attempt that is not the newest of a running job neither begins nor records a checkpoint.
func TestOldAttemptRecordsNoCheckpoint(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	id := d.add(nil)
	first := d.run(id)
	begun := d.begin(id, first, true)
	d.end(id, first, jobs.Queued, jobs.OutcomeLost)
	d.recordCheckpoint(begun, false)
	second := d.run(id)
	d.recordCheckpoint(begun, false)
	d.begin(id, first, false)
	other := begun
	other.Attempt = second // of another attempt than the one that has begun it
	d.recordCheckpoint(other, false)
	d.save(id, second)
	d.wantCheckpoints(id, []int{2}, nil)
	d.end(id, second, jobs.Failed, jobs.OutcomeFailed)
	d.begin(id, second, false)
	_, err := d.act(VerbRetry, id)
	d.must(err)
	d.wantCheckpoints(id, []int{2}, nil) // a retry goes on from there
}

func TestResetDropsCheckpoints(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]func(d *fixture, id string, attempt int){
		"queued": func(d *fixture, id string, n int) { d.end(id, n, jobs.Queued, jobs.OutcomeError) },
		"failed": func(d *fixture, id string, n int) { d.end(id, n, jobs.Failed, jobs.OutcomeError) },
		"running": func(d *fixture, id string, n int) {
			begun := d.begin(id, n, true)
			_, err := d.act(VerbReset, id)
			d.must(err)
			d.recordCheckpoint(begun, false)
			d.begin(id, n, false) // its program may not have been killed yet
			d.end(id, n, jobs.Queued, jobs.OutcomeInterrupted)
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newFixture(t)
			id := d.add(nil)
			n := d.run(id)
			d.save(id, n)
			c(d, id, n)
			_, err := d.act(VerbReset, id)
			d.must(err)
			dropped := []int{1}
			if name == "running" {
				dropped = []int{1, 2}
			}
			d.wantCheckpoints(id, nil, dropped)
		})
	}
}

var qDropRow = engine.NewQuery("DELETE FROM jobs WHERE id = ?")

// What a kill has left is found: checkpoints of successes and of deleted jobs at once, and those
// that a dead attempt has begun after an hour.
func TestLeftCheckpointsAreFound(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	succeeded, deleted, lost, running := d.add(nil), d.add(nil), d.add(nil), d.add(nil)
	for _, id := range []string{succeeded, deleted, lost, running} {
		n := d.run(id)
		d.save(id, n)
		d.begin(id, n, true)
	}
	d.end(succeeded, 1, jobs.Succeeded, jobs.OutcomeSucceeded)
	d.end(deleted, 1, jobs.Failed, jobs.OutcomeFailed)
	d.end(lost, 1, jobs.Queued, jobs.OutcomeLost)
	d.write(qDropRow, deleted) // as a program does that does not know checkpoints
	look := func(want map[string]int) {
		t.Helper()
		last, err := d.Checkpoints.Look(t.Context(), checkpoints.Key{})
		d.must(err)
		if last != (checkpoints.Key{}) {
			t.Errorf("there is more after %v", last)
		}
		list, err := d.Checkpoints.Dropped(t.Context(), checkpoints.Key{})
		d.must(err)
		got := map[string]int{}
		for _, c := range list {
			got[c.Job]++
		}
		for _, id := range []string{succeeded, deleted, lost, running} {
			if got[id] != want[id] {
				t.Errorf("%d are dropped, want %d", got[id], want[id])
			}
		}
	}
	look(map[string]int{succeeded: 2, deleted: 2})
	d.clock.advance(2 * time.Hour)
	look(map[string]int{succeeded: 2, deleted: 2, lost: 1})
}
