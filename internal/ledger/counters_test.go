package ledger

import (
	"fmt"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/runnerbean/runnerbean/internal/ledger/activity"
	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/jobs"
)

// ends is what the rows of jobs and attempts say has ended. The counters must agree.
type ends struct {
	final    map[string]bool // jobs, as they were seen last
	attempts map[string]int  // ended attempts of a job that were seen
	n        map[string]map[string]int
	bins     int
}

func newEnds() ends {
	return ends{final: map[string]bool{}, attempts: map[string]int{}, n: map[string]map[string]int{"n": {}, "p": {}}}
}

// see reads a job after each step that has changed it.
func (e *ends) see(r *Record, attempts []Attempt) {
	last := Attempt{}
	for _, a := range attempts {
		if a.Outcome == "" || a.Number <= e.attempts[r.ID] {
			continue
		}
		e.attempts[r.ID] = a.Number
		if last = a; a.Number < len(attempts) || !r.State.Final() {
			e.add(a.Node, r.Program, "", a.Outcome)
		}
	}
	ended := r.State.Final() && !e.final[r.ID]
	e.final[r.ID] = r.State.Final()
	switch {
	case !ended:
	case last.Outcome != "":
		e.add(last.Node, r.Program, r.State, last.Outcome)
	default:
		e.add("", r.Program, r.State, r.Error.Class)
	}
}

func (e *ends) add(node, program string, state jobs.State, class jobs.Outcome) {
	e.n["n"][fmt.Sprint(node, " ", state, " ", class)]++
	e.n["p"][fmt.Sprint(program, " ", state, " ", class)]++
	if state == jobs.Succeeded {
		e.bins++
	}
}

// checkCounters compares the counters of every grain, rolled up or not.
func (s *machine) checkCounters(rt *rapid.T) {
	for _, seconds := range []int{60, 600, 7200} {
		for axis, column := range map[string]string{"n": "node", "p": "program"} {
			rows, err := sqlDB(s.Ledger).Query(`SELECT name, state, class, SUM(n) FROM (
				SELECT name, state, class, n FROM activity WHERE grain = $1 AND axis = $2
				UNION ALL SELECT `+column+`, state, class, n FROM tallies) AS counted GROUP BY name, state, class`, seconds, axis)
			s.must(err)
			got := map[string]int{}
			s.must(eachRow(rows, func(r engine.Row) error {
				var name, state, class string
				var n int
				err := r.Scan(&name, &state, &class, &n)
				got[fmt.Sprint(name, " ", state, " ", class)] = n
				return err
			}))
			if diff := cmp.Diff(s.ends.n[axis], got); diff != "" {
				rt.Fatalf("counters by %s in steps of %d s: %s", column, seconds, diff)
			}
		}
	}
	s.checkActivity(rt)
	bins := 0
	s.must(sqlDB(s.Ledger).QueryRow(`SELECT COALESCE(SUM(n), 0) FROM (SELECT n FROM durations
		UNION ALL SELECT n FROM tallies WHERE bin >= 0) AS bins`).Scan(&bins))
	if bins != s.ends.bins {
		rt.Fatalf("%d successes in the histograms, there were %d", bins, s.ends.bins)
	}
}

// checkActivity compares the history of everything, part of which may be cached.
func (s *machine) checkActivity(rt *rapid.T) {
	now := s.clock.now()
	a, err := s.Activity.History(s.t.Context(), now.Add(-30*24*time.Hour), now.Add(24*time.Hour), "")
	s.must(err)
	for axis, list := range map[string][]activity.Tally{"n": a.Nodes, "p": a.Programs} {
		got := map[string]int{}
		for _, v := range list {
			got[fmt.Sprint(v.Node+v.Program, " ", v.State, " ", v.Class)] += int(v.N)
		}
		if diff := cmp.Diff(s.ends.n[axis], got); diff != "" {
			rt.Fatalf("activity by %s: %s", axis, diff)
		}
	}
}
