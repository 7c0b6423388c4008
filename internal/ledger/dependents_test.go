package ledger

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/jobs"
)

func placedIDs(list []Placed) []string {
	records := make([]Record, len(list))
	for i, p := range list {
		records[i] = p.Record
	}
	return ids(records)
}

func ids(list []Record) (out []string) {
	for _, r := range list {
		out = append(out, r.ID)
	}
	slices.Sort(out)
	return out
}

func TestSuccessReleasesDependents(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	a, b := d.add(nil), d.add(nil)
	needsA := d.add(func(j *jobs.Job) { j.Needs = []string{a} })
	needsBoth := d.add(func(j *jobs.Job) { j.Needs = []string{a, b} })
	early := jobs.NewID() // is needed before it is there
	needsEarly := d.add(func(j *jobs.Job) { j.Needs = []string{early} })
	d.add(func(j *jobs.Job) { j.ID = early })

	d.clock.advance(time.Second)
	released := d.end(a, d.run(a), jobs.Succeeded, jobs.OutcomeSucceeded)
	if diff := cmp.Diff([]string{needsA}, ids(released)); diff != "" {
		t.Error(diff)
	}
	r := d.wantState(needsA, jobs.Queued)
	if !r.Updated.Equal(d.clock.now()) || r.Reason != "" || released[0].State != jobs.Queued {
		t.Errorf("%+v", r)
	}
	if r := d.wantState(needsBoth, jobs.Waiting); r.Reason != "waits for 2 other jobs" {
		t.Errorf("%+v", r)
	}
	if diff := cmp.Diff([]string{needsBoth}, ids(d.end(b, d.run(b), jobs.Succeeded, jobs.OutcomeSucceeded))); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{needsEarly}, ids(d.end(early, d.run(early), jobs.Succeeded, jobs.OutcomeSucceeded))); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{eventlog.KindAccepted, eventlog.KindReleased}, d.kinds(needsEarly)); diff != "" {
		t.Error(diff)
	}
	d.recount()
}

func TestFailureFailsDependentsAndTheirs(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	chain := []string{d.add(nil)}
	for range 5 {
		chain = append(chain, d.add(func(j *jobs.Job) { j.Needs = chain[len(chain)-1:] }))
	}
	if released := d.end(chain[0], d.run(chain[0]), jobs.Failed, jobs.OutcomeFailed); len(released) > 0 {
		t.Error(released)
	}
	for i, id := range chain[1:] {
		r := d.wantState(id, jobs.Failed)
		if want := "job " + chain[i] + ", which it needs, is failed"; r.Error.Class != jobs.ClassNeeds || r.Error.Message != want {
			t.Errorf("%+v", r.Error)
		}
	}
	d.recount()
}

// More dependents than one transaction updates, in two layers.
func TestManyDependents(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		end, first, second jobs.State
	}{
		"success": {jobs.Succeeded, jobs.Queued, jobs.Waiting},
		"failure": {jobs.Failed, jobs.Failed, jobs.Failed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newFixture(t)
			root := d.add(nil)
			var first, second []Entry
			for range maxDependents + 20 {
				a := entry(func(j *jobs.Job) { j.Needs = []string{root} })
				first = append(first, a)
				second = append(second, entry(func(j *jobs.Job) { j.Needs = []string{a.Job.ID} }))
			}
			_, err := d.Accept(t.Context(), append(first, second...))
			d.must(err)
			d.end(root, d.run(root), c.end, jobs.OutcomeFailed)
			want := map[jobs.State]int{c.end: 1}
			want[c.first] += len(first)
			want[c.second] += len(second)
			d.until(func() bool {
				got, err := d.Activity.Counts(t.Context())
				d.must(err)
				for s, n := range got {
					if n != want[s] {
						return false
					}
				}
				return true
			})
			d.recount()
		})
	}
}

// until waits for a condition that another goroutine fulfils.
func (d *fixture) until(done func() bool) {
	d.t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-deadline:
			d.t.Fatal("it did not happen in 20 s")
		}
	}
}

// The next process finishes what one left half done.
func TestUnsettledAreSettledLater(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	root := d.add(nil)
	dependent := d.add(func(j *jobs.Job) { j.Needs = []string{root} })
	attempt := d.run(root)
	d.must(d.do(t.Context(), &op{run: func(tx *txn) error {
		// As if the process had died after the first of two transactions.
		_, err := tx.Exec(qFinish, new(running).args(root, attempt, &Ending{State: jobs.Succeeded}, tx.now)...)
		if err == nil {
			_, err = tx.Exec(qLeaveRemaining, root)
		}
		tx.count("p", jobs.Running, jobs.Succeeded)
		return err
	}}))
	d.wantState(dependent, jobs.Waiting)
	_, err := d.Expire(t.Context(), 0)
	d.must(err)
	d.until(func() bool { return d.record(dependent).State == jobs.Queued })
	d.recount()
}

// TestRunsAfterFailedNeeds has jobs that run with what there is: once all of their needs have
// ended in any way, also if that was before they came.
func TestRunsAfterFailedNeeds(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	a, b, early := d.add(nil), d.add(nil), jobs.NewID()
	run := func(needs ...string) func(*jobs.Job) {
		return func(j *jobs.Job) { j.Needs, j.NeedsFailed = needs, jobs.NeedsRun }
	}
	both, late := d.add(run(a, b)), d.add(run(early))
	strict := d.add(func(j *jobs.Job) { j.Needs = []string{a} })
	afterStrict := d.add(run(strict))
	if released := d.end(a, d.run(a), jobs.Failed, jobs.OutcomeFailed); len(released) != 1 || released[0].ID != afterStrict {
		t.Errorf("the failure has released %v", ids(released))
	}
	d.wantState(strict, jobs.Failed)
	d.wantState(both, jobs.Waiting)
	if _, err := d.act(VerbCancel, b); err != nil {
		t.Error(err)
	}
	d.wantState(both, jobs.Queued)
	d.wantState(d.add(run(a, b)), jobs.Queued)
	d.add(func(j *jobs.Job) { j.ID = early })
	d.end(early, d.run(early), jobs.Failed, jobs.OutcomeFailed)
	d.wantState(late, jobs.Queued)

	// A retry of the need does not stop what runs after it, and a retry of that waits.
	d.end(both, d.run(both), jobs.Failed, jobs.OutcomeFailed)
	if _, err := d.act(VerbRetry, both); err != nil {
		t.Error(err)
	}
	d.wantState(both, jobs.Queued)

	// One that nobody puts fails the job.
	never := d.add(run(jobs.NewID()))
	d.clock.advance(missingLimit + time.Second)
	if expired, err := d.Expire(t.Context(), 0); err != nil || !slices.Contains(expired, never) {
		t.Errorf("%v, %v", expired, err)
	}
	d.recount()
}

// TestManyNeeds has a job that needs as many others as a document may name. All of them come
// later and have a fault, so that they end at once.
func TestManyNeeds(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	const most = 10_000
	var entries []Entry
	var needs []string
	for range most {
		e := entry(nil)
		e.Fault = &jobs.Error{Class: jobs.ClassDocument, Message: "bad"}
		entries, needs = append(entries, e), append(needs, e.Job.ID)
	}
	all := d.add(func(j *jobs.Job) { j.Needs, j.NeedsFailed = needs, jobs.NeedsRun })
	for list := range slices.Chunk(entries, 1000) {
		if r := d.wantState(all, jobs.Waiting); r.Reason != "waits for 10000 other jobs" {
			t.Error(r.Reason)
		}
		_, err := d.Accept(t.Context(), list)
		d.must(err)
	}
	d.wantState(all, jobs.Queued)
	d.recount()
}
