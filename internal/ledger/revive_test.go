package ledger

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/internal/ledger/stuck"
	"github.com/runnerbean/runnerbean/jobs"
)

// newGraph returns a fixture whose node has the program "p".
func newGraph(t *testing.T) *fixture {
	d := newFixture(t)
	d.must(d.Nodes.Beat(t.Context(), "i1", []nodes.Program{{Name: "p"}}, 1, nil))
	return d
}

// withNeeds accepts a job that needs others.
func (d *fixture) withNeeds(needs ...string) string {
	return d.add(func(j *jobs.Job) { j.Needs = needs })
}

// fails makes a queued job fail for a reason of its own.
func (d *fixture) fails(id string) {
	d.t.Helper()
	d.end(id, d.run(id), jobs.Failed, jobs.OutcomeError)
}

// retryWithDependents retries a job with its dependents. It returns the refusal.
func (d *fixture) retryWithDependents(id string) error {
	d.t.Helper()
	list, err := d.Act(d.t.Context(), VerbRetry, "Ann", []Target{{ID: id, Dependents: true}})
	d.must(err)
	return list[0].Err
}

// reviveAll makes all steps of Revive. left says why jobs were left last.
func (d *fixture) reviveAll() (revived []string, left map[string]error) {
	d.t.Helper()
	left = map[string]error{}
	for more := true; more; {
		step, err := d.Dependents.Revive(d.t.Context())
		d.must(err)
		for _, a := range step.Left {
			left[a.ID] = a.Err
		}
		for _, r := range step.Jobs {
			delete(left, r.ID)
		}
		revived = append(revived, ids(step.Jobs)...)
		more = step.More
	}
	slices.Sort(revived)
	return revived, left
}

// A retry with its dependents revives those that failed only because of their needs, level
// by level. One that needs another failed job, or failed by itself, is left and named.
func TestRetryWithDependents(t *testing.T) {
	t.Parallel()
	d := newGraph(t)
	root, other, good := d.add(nil), d.add(nil), d.add(nil)
	a, b := d.withNeeds(root), d.withNeeds(root, good)
	both := d.withNeeds(root, a)
	deep := d.withNeeds(both, b)
	blocked := d.withNeeds(root, other)
	behind := d.withNeeds(blocked, a)
	cancelled := d.withNeeds(root)
	_, err := d.act(VerbCancel, cancelled)
	d.must(err)
	late := d.withNeeds(a)
	d.end(good, d.run(good), jobs.Succeeded, jobs.OutcomeSucceeded)
	d.fails(root)
	d.fails(other)
	after := d.withNeeds(root, a) // put when they had failed
	for _, id := range []string{a, b, both, deep, blocked, behind, late, after} {
		d.wantState(id, jobs.Failed)
	}
	d.must(d.retryWithDependents(root))
	revived, left := d.reviveAll()
	want := []string{a, b, both, deep, late, after}
	slices.Sort(want)
	if diff := cmp.Diff(want, revived); diff != "" {
		t.Errorf("revived: %s", diff)
	}
	for _, id := range want {
		if r := d.wantState(id, jobs.Waiting); r.Error != nil {
			t.Errorf("%+v", r.Error)
		}
	}
	if len(left) != 3 || !errors.Is(left[blocked], ErrNeeds) || !strings.Contains(left[blocked].Error(), other) ||
		!errors.Is(left[behind], ErrNeeds) || !strings.Contains(left[behind].Error(), blocked) || !errors.Is(left[cancelled], ErrCancelled) {
		t.Errorf("left: %v", left)
	}
	// The other one brings the rest back, with its own dependents.
	d.must(d.retryWithDependents(other))
	if revived, left = d.reviveAll(); !slices.Contains(revived, blocked) || !slices.Contains(revived, behind) || len(revived) != 2 || len(left) > 0 {
		t.Errorf("revived %v, left %v", revived, left)
	}
	for _, id := range []string{root, other} {
		d.end(id, d.run(id), jobs.Succeeded, jobs.OutcomeSucceeded)
	}
	for _, id := range []string{a, b, both, blocked, deep, behind, late, after} {
		d.end(id, d.run(id), jobs.Succeeded, jobs.OutcomeSucceeded)
	}
	d.recount()
}

// A job that has been retried before, or has succeeded since, is not retried itself, and its
// dependents are.
func TestRetryWithDependentsOfAJobThatNeedsNoRetry(t *testing.T) {
	t.Parallel()
	d := newGraph(t)
	root := d.add(nil)
	a := d.withNeeds(root)
	b := d.withNeeds(a)
	d.fails(root)
	_, err := d.act(VerbRetry, root)
	d.must(err)
	d.must(d.retryWithDependents(root))
	if revived, _ := d.reviveAll(); len(revived) != 2 {
		t.Errorf("revived %v of %v", revived, []string{a, b})
	}
	if err := d.retryWithDependents(root); !errors.Is(err, ErrNotEnded) {
		t.Errorf("nothing was left to retry, and the answer is %v", err)
	}
	d.fails(root)
	_, err = d.act(VerbRetry, root)
	d.must(err)
	d.end(root, d.run(root), jobs.Succeeded, jobs.OutcomeSucceeded)
	d.must(d.retryWithDependents(root))
	if revived, _ := d.reviveAll(); len(revived) != 2 {
		t.Errorf("revived %v of %v", revived, []string{a, b})
	}
	d.wantState(root, jobs.Succeeded)
	d.wantState(a, jobs.Queued)
	d.recount()
}

// reviveGraph makes a failed graph of n jobs: a root, and dependents that need it and one of
// the jobs before them.
func (d *fixture) reviveGraph(n int) (root string, all []string) {
	d.t.Helper()
	var entries []Entry
	for i := range n {
		entries = append(entries, entry(func(j *jobs.Job) {
			if i > 0 {
				j.Needs = slices.Compact([]string{all[0], all[i/2]})
			}
			all = append(all, j.ID)
		}))
	}
	_, err := d.Accept(d.t.Context(), entries)
	d.must(err)
	d.fails(all[0])
	d.countStates(map[jobs.State]int{jobs.Failed: n})
	return all[0], all
}

// countStates waits until the ledger has done all that it does by itself, and compares the
// numbers of jobs.
func (d *fixture) countStates(want map[jobs.State]int) {
	d.t.Helper()
	for range 200 { // each is a transaction, between which the ledger goes on
		d.must(d.Nodes.Beat(d.t.Context(), "i1", []nodes.Program{{Name: "p"}}, 1, nil))
	}
	got := map[jobs.State]int{}
	counts, err := d.Activity.Counts(d.t.Context())
	d.must(err)
	for s, n := range counts {
		if n > 0 {
			got[s] = n
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		d.t.Errorf("jobs by state: %s", diff)
	}
}

// 5,000 dependents take several transactions. A process that dies between two leaves failed
// and waiting jobs, of which none waits for a failed one, and another process goes on.
func TestRetryWithManyDependentsSurvivesItsProcess(t *testing.T) {
	t.Parallel()
	d := newGraph(t)
	n := manyDependents
	root, _ := d.reviveGraph(n)
	d.must(d.retryWithDependents(root))
	for range n / 1000 {
		step, err := d.Dependents.Revive(t.Context())
		d.must(err)
		if len(step.Jobs)+len(step.Left) > maxDependents || !step.More {
			t.Fatalf("a step revives %d and leaves %d jobs, more %v", len(step.Jobs), len(step.Left), step.More)
		}
	}
	d.must(d.Ledger.Close())
	d.Ledger = d.open()
	d.wantNoWaitForTheFailed()
	_, err := d.Expire(t.Context(), 0)
	d.must(err)
	counts, err := d.Activity.Counts(t.Context())
	d.must(err)
	if counts[jobs.Failed] < n/2 {
		t.Errorf("another process went on at once: %v", counts)
	}
	d.clock.advance(reviveAfter)
	for more := true; more; { // as the reconciler does
		_, err := d.Expire(t.Context(), 0)
		d.must(err)
		left := 0
		d.must(sqlDB(d.Ledger).QueryRow("SELECT COUNT(*) FROM reviving").Scan(&left))
		more = left > 0
	}
	d.countStates(map[jobs.State]int{jobs.Queued: 1, jobs.Waiting: n - 1})
	d.wantNoWaitForTheFailed()
	d.recount()
}

// The same call again finishes what the first one has left.
func TestRetryWithManyDependentsGoesOnWithTheSameCall(t *testing.T) {
	t.Parallel()
	d := newGraph(t)
	const n = 1500
	root, _ := d.reviveGraph(n)
	d.must(d.retryWithDependents(root))
	step, err := d.Dependents.Revive(t.Context())
	d.must(err)
	d.must(d.retryWithDependents(root))
	revived, left := d.reviveAll()
	if len(step.Jobs)+len(revived) != n-1 || len(left) > 0 {
		t.Errorf("revived %d and %d of %d, left %d", len(step.Jobs), len(revived), n-1, len(left))
	}
	d.countStates(map[jobs.State]int{jobs.Queued: 1, jobs.Waiting: n - 1})
}

// wantNoWaitForTheFailed checks that no job waits for one that has ended.
func (d *fixture) wantNoWaitForTheFailed() {
	d.t.Helper()
	bad := 0
	d.must(sqlDB(d.Ledger).QueryRow(`SELECT COUNT(*) FROM needs JOIN jobs ON jobs.id = needs.need
		WHERE jobs.state IN ('succeeded', 'failed', 'cancelled')`).Scan(&bad))
	if bad > 0 {
		d.t.Errorf("%d needs have ended", bad)
	}
	d.must(sqlDB(d.Ledger).QueryRow("SELECT COUNT(*) FROM unmet JOIN jobs ON jobs.id = unmet.job WHERE jobs.state NOT IN ('failed', 'cancelled')").Scan(&bad))
	if bad > 0 {
		d.t.Errorf("%d unmet needs are of jobs that have not failed", bad)
	}
}

// Dependents wait for their program again if no node has announced it.
func TestDependentsWaitForTheirProgramAgain(t *testing.T) {
	t.Parallel()
	d := newGraph(t)
	root := d.add(nil)
	e := entry(func(j *jobs.Job) { j.Needs, j.Program = []string{root}, "unheard" })
	e.Awaits = UnknownProgram("unheard", nil)
	d.put(e)
	d.fails(root)
	d.must(d.retryWithDependents(root))
	d.reviveAll()
	if r := d.wantState(e.Job.ID, jobs.Waiting); !strings.Contains(r.Reason, `program "unheard"`) {
		t.Errorf("reason %q", r.Reason)
	}
	d.recount()
}

// The needs that failed are found for planning.
func TestFailedNeeds(t *testing.T) {
	t.Parallel()
	d := newGraph(t)
	root, good, open := d.add(nil), d.add(nil), d.add(nil)
	a := d.withNeeds(root, good, open)
	cancelled := d.withNeeds(open)
	d.end(good, d.run(good), jobs.Succeeded, jobs.OutcomeSucceeded)
	d.fails(root)
	_, err := d.act(VerbCancel, cancelled)
	d.must(err)
	check := func(want ...stuck.Edge) {
		t.Helper()
		got, err := d.Stuck.FailedNeeds(t.Context(), []string{root, a, cancelled})
		d.must(err)
		slices.SortFunc(got, func(a, b stuck.Edge) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
		slices.SortFunc(want, func(a, b stuck.Edge) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	check(stuck.Edge{Job: a, Need: root})
	d.clock.advance(time.Second)
	d.fails(open)
	check(stuck.Edge{Job: a, Need: root}, stuck.Edge{Job: a, Need: open}, stuck.Edge{Job: cancelled, Need: open})
	_, err = d.act(VerbRetry, root)
	d.must(err)
	check(stuck.Edge{Job: a, Need: open}, stuck.Edge{Job: cancelled, Need: open})
}
