package publisher

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// selectAll applies a verb to a selection with as many calls as it takes. It returns the
// sum of the answers and the number of calls.
func (b *bench) selectAll(verb ledger.Verb, order api.Selection) (sum api.Selected, calls int) {
	b.t.Helper()
	for calls = 1; calls < 100; calls++ {
		body, err := json.Marshal(order)
		if err != nil {
			b.t.Fatal(err)
		}
		r := b.ask("POST", "/api/v1/jobs/"+string(verb), string(body), jsonBody)
		if r.StatusCode != http.StatusOK {
			b.t.Fatalf("%s: %d %s", body, r.StatusCode, bodyOf(b.t, r))
		}
		got := decodeAs[api.Selected](b.t, r)
		sum.Matched, sum.Done, sum.Failed = sum.Matched+got.Matched, sum.Done+got.Done, append(sum.Failed, got.Failed...)
		if order.Limit > 0 && got.Matched > order.Limit && !order.DryRun {
			b.t.Errorf("one call took %d jobs, the limit being %d", got.Matched, order.Limit)
		}
		if order.Cursor = got.Next; got.Next == "" {
			return sum, calls
		}
	}
	b.t.Fatal("there is always a next call")
	return sum, calls
}

// statesOf counts the jobs by state.
func (b *bench) statesOf() map[jobs.State]int {
	b.t.Helper()
	counts := map[jobs.State]int{}
	for _, r := range decodeAs[api.Page](b.t, b.get("/api/v1/jobs?limit=1000")).Jobs {
		counts[r.State]++
	}
	return counts
}

func TestSelections(t *testing.T) {
	t.Parallel()
	const red = `"labels":{"colour":"red"}`
	for name, test := range map[string]struct {
		verb  ledger.Verb
		order api.Selection
		done  int
		left  map[jobs.State]int
	}{
		"queued ones": {
			ledger.VerbCancel,
			api.Selection{State: jobs.Queued},
			6,
			map[jobs.State]int{jobs.Running: 2, jobs.Succeeded: 1, jobs.Failed: 3, jobs.Cancelled: 7},
		},
		"all that can be": {
			ledger.VerbTerminate,
			api.Selection{All: true},
			8,
			map[jobs.State]int{jobs.Running: 2, jobs.Succeeded: 1, jobs.Failed: 3, jobs.Cancelled: 7},
		},
		"of a program, in small steps": {
			ledger.VerbCancel,
			api.Selection{Program: testProgram, Limit: 2},
			8,
			map[jobs.State]int{jobs.Running: 2, jobs.Succeeded: 1, jobs.Failed: 3, jobs.Cancelled: 7},
		},
		"of a program that has none": {
			ledger.VerbCancel,
			api.Selection{Program: "other"},
			0,
			map[jobs.State]int{jobs.Queued: 6, jobs.Running: 2, jobs.Succeeded: 1, jobs.Failed: 3, jobs.Cancelled: 1},
		},
		"by label": {
			ledger.VerbCancel,
			api.Selection{Label: "colour=red", Limit: 1},
			3,
			map[jobs.State]int{jobs.Queued: 3, jobs.Running: 2, jobs.Succeeded: 1, jobs.Failed: 3, jobs.Cancelled: 4},
		},
		"of a node": {
			ledger.VerbRetry,
			api.Selection{Node: testNode, Limit: 1},
			3,
			map[jobs.State]int{jobs.Queued: 9, jobs.Running: 2, jobs.Succeeded: 1, jobs.Cancelled: 1},
		},
		"by state and label": {
			ledger.VerbCancel,
			api.Selection{State: jobs.Running, Label: "colour=red"},
			0,
			map[jobs.State]int{jobs.Queued: 6, jobs.Running: 2, jobs.Succeeded: 1, jobs.Failed: 3, jobs.Cancelled: 1},
		},
		"retry all": {
			ledger.VerbRetry,
			api.Selection{All: true, Limit: 3},
			4,
			map[jobs.State]int{jobs.Queued: 10, jobs.Running: 2, jobs.Succeeded: 1},
		},
		"stop all": {
			ledger.VerbStop,
			api.Selection{All: true},
			2,
			map[jobs.State]int{jobs.Queued: 6, jobs.Running: 2, jobs.Succeeded: 1, jobs.Failed: 3, jobs.Cancelled: 1},
		},
		"reset all": {
			ledger.VerbReset,
			api.Selection{All: true, Limit: 5},
			12,
			map[jobs.State]int{jobs.Queued: 10, jobs.Running: 2, jobs.Succeeded: 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			for range 3 {
				b.queued("")
				b.queued(red)
				b.failed()
			}
			for range 2 {
				b.inState(jobs.Running)
			}
			b.inState(jobs.Succeeded)
			b.inState(jobs.Cancelled)
			before := b.statesOf()

			dry := test.order
			dry.DryRun = true
			counted, _ := b.selectAll(test.verb, dry)
			if diff := cmp.Diff(before, b.statesOf()); diff != "" || counted.Done != 0 {
				t.Errorf("a dry run has done %d: %s", counted.Done, diff)
			}
			got, calls := b.selectAll(test.verb, test.order)
			if got.Done != test.done || got.Matched != test.done || counted.Matched != test.done || len(got.Failed) != 0 {
				t.Errorf("counted %d, then %+v, want %d", counted.Matched, got, test.done)
			}
			if l := test.order.Limit; l > 0 && calls < test.done/l {
				t.Errorf("%d calls for %d jobs, %d in each", calls, test.done, l)
			}
			if diff := cmp.Diff(test.left, b.statesOf()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSelectionNamesWhatFailed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	lost := b.failed()
	for range 20 + 5 {
		b.queued(`"needs":["` + lost + `"]`) // fails at once, and again
	}
	b.do(ledger.VerbRetry, lost) // now all but this one have failed
	b.do(ledger.VerbCancel, lost)
	r := b.ask("POST", "/api/v1/jobs/retry", `{"state":"failed","limit":1000}`, jsonBody)
	got := decodeAs[api.Selected](t, r)
	if got.Matched != 25 || got.Done != 0 || len(got.Failed) != 20 || got.Next != "" {
		t.Fatalf("%d %+v", r.StatusCode, got)
	}
	if f := got.Failed[0]; !jobs.ValidID(f.ID) || !strings.Contains(f.Detail, "retry that first") {
		t.Errorf("%+v", f)
	}
}

func TestSelectionsAreAskedWithSense(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.queued("")
	long := strings.Repeat("x", httpio.MaxText+1)
	for _, test := range []struct {
		verb, body string
		status     int
		pointer    string
		detail     string
	}{
		{"cancel", `{}`, 422, "", `"all": true`},
		{"cancel", `{"all":false}`, 422, "", `"all": true`},
		{"cancel", `{"dry_run":true}`, 422, "", `"all": true`},
		{"cancel", `{"all":true,"program":"forecast"}`, 422, "/all", "stands alone"},
		{"cancel", `{"state":"succeeded"}`, 422, "/state", "only a job that is waiting, queued or running can be cancelled"},
		{"stop", `{"state":"queued"}`, 422, "/state", "only a job that is running can be stopped"},
		{"retry", `{"state":"running"}`, 422, "/state", "failed or cancelled can be retried"},
		{"reset", `{"state":"succeeded"}`, 422, "/state", "can be reset"},
		{"cancel", `{"state":"done"}`, 422, "/state", "is one of"},
		{"cancel", `{"program":"../x"}`, 422, "/program", "program's name"},
		{"cancel", `{"label":"meter"}`, 422, "/label", "key=value"},
		{"cancel", `{"node":"\u0000"}`, 422, "/node", "is a text"},
		{"cancel", `{"node":"` + long + `"}`, 422, "/node", "is a text"},
		{"cancel", `{"all":true,"limit":-1}`, 422, "/limit", "1 to 1000"},
		{"cancel", `{"all":true,"limit":1001}`, 422, "/limit", "1 to 1000"},
		{"cancel", `{"all":true,"limit":1e30}`, 422, "/limit", "kind of value"},
		{"cancel", `{"all":true,"cursor":"x"}`, 422, "/cursor", "given out"},
		{"cancel", `{"all":true,"cursor":"failed."}`, 422, "/cursor", "given out"},
		{"cancel", `{"all":true,"cursor":"queued.x"}`, 422, "/cursor", "given out"},
		{"cancel", `{"all":true,"cursor":"` + long + `"}`, 422, "/cursor", "given out"},
		{"cancel", `{"all":"yes"}`, 422, "/all", "kind of value"},
		{"cancel", `{"all":true,"colour":"red"}`, 422, "/colour", "not known"},
		{"cancel", `{"ALL":true}`, 422, "/ALL", "not known"},
		{"cancel", `{"all":true,"all":true}`, 400, "", "duplicate"},
		{"cancel", `[{"all":true}]`, 400, "", "object"},
		{"cancel", `{"all":true}{"all":true}`, 400, "", "object"},
		{"cancel", `{"node":"` + "\xff" + `"}`, 400, "", "UTF-8"},
		{"cancel", ``, 400, "", "object"},
		{"cancel", `{"node":"` + strings.Repeat("x", 64<<10) + `"}`, 413, "", "bytes"},
		{"explode", `{"all":true}`, 405, "", ""},
	} {
		r := b.ask("POST", "/api/v1/jobs/"+test.verb, test.body, jsonBody)
		p := decodeAs[jobs.Problem](t, r)
		if r.StatusCode != test.status || p.Status != test.status || p.Pointer != test.pointer || !strings.Contains(p.Detail, test.detail) {
			t.Errorf("%s %.80s: %d %+v, want %d at %q with %q", test.verb, test.body, r.StatusCode, p, test.status, test.pointer, test.detail)
		}
	}
	if r := b.ask("POST", "/api/v1/jobs/cancel", `{"all":true}`); r.StatusCode != http.StatusUnsupportedMediaType {
		t.Errorf("without a type: %d", r.StatusCode)
	}
	if got := b.statesOf(); got[jobs.Queued] != 1 {
		t.Errorf("one of these has changed the job: %v", got)
	}
}
