package ledger

import (
	"fmt"
	"slices"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/jobs"
)

// check compares the ledger with the model after each step.
func (s *machine) check(rt *rapid.T) {
	s.t = rt
	s.checkStates(rt)
	for _, id := range s.m.ids {
		// Jobs that have not changed are compared now and then.
		if j := s.m.jobs[id]; s.steps%8 == 0 || s.seen[id] != fmt.Sprint(*j) {
			s.checkJob(rt, j)
			s.seen[id] = fmt.Sprint(*j)
		}
	}
	s.steps++
	s.recount()
	s.checkUnsent(rt)
	s.checkNeeds(rt)
	s.checkCounters(rt)
}

// checkStates compares the state and attempt of all jobs.
func (s *machine) checkStates(rt *rapid.T) {
	rows, err := sqlDB(s.Ledger).Query("SELECT id, state, attempt FROM jobs")
	s.must(err)
	got, want := map[string]string{}, map[string]string{}
	s.must(eachRow(rows, func(r engine.Row) error {
		var id, state string
		var attempt int
		err := r.Scan(&id, &state, &attempt)
		got[id] = fmt.Sprint(state, attempt)
		return err
	}))
	for id, j := range s.m.jobs {
		want[id] = fmt.Sprint(string(j.state), j.attempt)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		rt.Fatalf("states: %s", diff)
	}
}

func (s *machine) checkJob(rt *rapid.T, j *modelJob) {
	r := s.record(j.id)
	type facts struct {
		State                   jobs.State
		Attempt, Spent, Crashes int
		Alone                   int
		Quarantined             bool
		Ended                   bool
		Asked                   Verb
	}
	want := facts{j.state, j.attempt, j.spent, j.crashes, j.alone, j.quarantined, j.state.Final(), j.asked}
	got := facts{r.State, r.Attempt, r.Spent, r.Crashes, r.AloneCrashes, r.Quarantined, !r.Finished.IsZero(), r.Asked}
	if diff := cmp.Diff(want, got); diff != "" {
		rt.Fatalf("job %s: %s", j.id, diff)
	}
	if j.state == jobs.Queued && !r.NotBefore.Equal(j.notBefore) {
		rt.Fatalf("job %s: not before %v, want %v", j.id, r.NotBefore, j.notBefore)
	}
	if !j.faulty && (!r.StartAfter.Equal(j.startAfter) || !r.Expires.Equal(j.expires)) {
		rt.Fatalf("job %s: start after %v, expires %v; want %v, %v", j.id, r.StartAfter, r.Expires, j.startAfter, j.expires)
	}
	if old, ok := s.final[j.id]; ok {
		if diff := cmp.Diff(old, r); diff != "" {
			rt.Fatalf("a final job changed: %s", diff)
		}
	} else if j.state.Final() {
		s.final[j.id] = r
	}
	attempts, err := s.Attempts(rt.Context(), j.id)
	s.must(err)
	var outcomes []jobs.Outcome
	for i, a := range attempts {
		outcomes = append(outcomes, a.Outcome)
		if a.Number != i+1 || a.Finished.IsZero() != (a.Outcome == "") {
			rt.Fatalf("attempts of %s: %+v", j.id, attempts)
		}
	}
	if diff := cmp.Diff(j.outcomes, outcomes, cmpopts.EquateEmpty()); diff != "" {
		rt.Fatalf("attempts of %s: %s", j.id, diff)
	}
	s.ends.see(&r, attempts)
}

// checkUnsent compares the queue with what the reconciler must see.
func (s *machine) checkUnsent(rt *rapid.T) {
	var want []string
	for _, id := range s.m.ids {
		if s.m.jobs[id].state == jobs.Queued && !s.sent[id] {
			want = append(want, id)
		}
	}
	list, _, err := s.Unsent(rt.Context(), []string{"s"}, s.m.now.AddDate(1, 0, 0), 100)
	s.must(err)
	slices.Sort(want)
	if diff := cmp.Diff(want, placedIDs(list)); diff != "" {
		rt.Fatalf("unsent: %s", diff)
	}
}

// checkUnmet compares the needs that were not met.
func (s *machine) checkUnmet(rt *rapid.T) {
	var want, got []string
	for _, j := range s.m.jobs {
		for _, n := range j.unmet {
			want = append(want, j.id+" "+n)
		}
	}
	rows, err := sqlDB(s.Ledger).Query("SELECT job, need FROM unmet")
	s.must(err)
	s.must(eachRow(rows, func(r engine.Row) error {
		var job, need string
		err := r.Scan(&job, &need)
		got = append(got, job+" "+need)
		return err
	}))
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		rt.Fatalf("unmet needs: %s", diff)
	}
}

// checkNeeds finds needs that nothing will fulfil.
func (s *machine) checkNeeds(rt *rapid.T) {
	var bad int
	s.must(sqlDB(s.Ledger).QueryRow(`SELECT COUNT(*) FROM needs LEFT JOIN jobs need ON need.id = needs.need
		JOIN jobs job ON job.id = needs.job
		WHERE job.state <> 'waiting' OR need.state IN ('succeeded', 'failed', 'cancelled')
		OR (need.id IS NULL) <> (deadline > 0) OR (deadline > 0) <> (missing_since > 0)`).Scan(&bad))
	if bad > 0 {
		rt.Fatalf("%d needs are left over", bad)
	}
	s.wantNoWaitForTheFailed()
	s.checkUnmet(rt)
}
