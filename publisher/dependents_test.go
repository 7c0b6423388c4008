package publisher

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/jobs"
)

// needing puts a job that needs others and has a label.
func (b *bench) needing(label string, needs ...string) string {
	b.t.Helper()
	return b.queued(fmt.Sprintf(`"labels":{"graph":%q},"needs":["%s"]`, label, strings.Join(needs, `","`)))
}

// failsNow makes a queued job fail.
func (b *bench) failsNow(id string) {
	b.t.Helper()
	b.finish(id, b.running(id), ledger.Ending{State: jobs.Failed, Outcome: jobs.OutcomeFailed, Error: &jobs.Error{Class: jobs.OutcomeFailed, Message: "no"}})
}

// failedChain makes a failed chain of n jobs: each needs the one before. The first has the
// label, too.
func (b *bench) failedChain(label string, n int) []string {
	b.t.Helper()
	list := []string{b.queued(fmt.Sprintf(`"labels":{"graph":%q}`, label))}
	for len(list) < n {
		list = append(list, b.needing(label, list[len(list)-1]))
	}
	b.failsNow(list[0])
	for tries := 0; b.stateOf(list[n-1]) != jobs.Failed; tries++ {
		// Long chains fail in several transactions.
		if err := b.ledger.Rollup(b.t.Context()); err != nil || tries == 10_000 {
			b.t.Fatal("the last job does not fail: ", err)
		}
	}
	return list
}

// selectRounds sends a selection until it has no next page, and adds up the answers.
func (b *bench) selectRounds(verb, body string) (sum api.Selected, calls int) {
	b.t.Helper()
	for cursor := ""; ; {
		calls++
		answer := decodeAs[api.Selected](b.t, b.ask("POST", "/api/v1/jobs/"+verb, fmt.Sprintf(`{%s,"cursor":%q}`, body, cursor), jsonBody))
		sum.Matched, sum.Done = sum.Matched+answer.Matched, sum.Done+answer.Done
		sum.Failed = append(sum.Failed, answer.Failed...)
		if cursor = answer.Next; cursor == "" {
			return sum, calls
		}
		if calls > 1000 {
			b.t.Fatal("the selection has no end")
		}
	}
}

// One retry of a selection brings a whole failed graph back, although lists show dependents
// first. A small limit makes it many calls of the same kind.
func TestRetryOfASelectionTakesNeedsFirst(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for name, body := range map[string]string{
		"label": `"label":"graph=label"`, "text": `"text":"graph=text"`, "state": `"state":"failed","label":"graph=state"`,
		"small": `"label":"graph=small","limit":7`, "reset": `"label":"graph=reset"`,
	} {
		chain := b.failedChain(name, 300)
		verb := "retry"
		if name == "reset" {
			verb = "reset"
		}
		sum, calls := b.selectRounds(verb, body)
		if sum.Matched != 300 || sum.Done != 300 || len(sum.Failed) > 0 {
			t.Errorf("%s: %d of %d jobs in %d calls, %v", name, sum.Done, sum.Matched, calls, sum.Failed)
		}
		if got := b.stateOf(chain[299]); got != jobs.Waiting {
			t.Errorf("%s: the last job is %s", name, got)
		}
	}
}

func (b *bench) stateOf(id string) jobs.State {
	b.t.Helper()
	r, err := b.ledger.Get(b.t.Context(), id)
	if err != nil {
		b.t.Fatal(err)
	}
	return r.State
}

// A job of the selection whose need is not part of it is refused once, and so are those
// behind it; the others are done.
func TestRetryOfASelectionRefusesWhatNeedsOthers(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	other := b.failedChain("other", 1)[0]
	blocked := b.needing("mine", other)
	behind := b.needing("mine", blocked)
	for range 10 {
		b.failedChain("mine", 30)
	}
	sum, _ := b.selectRounds("retry", `"label":"graph=mine","limit":16`)
	var names []string
	for _, f := range sum.Failed {
		names = append(names, f.ID)
	}
	slices.Sort(names)
	want := []string{blocked, behind}
	slices.Sort(want)
	if sum.Done != 300 || sum.Matched != 302 || !slices.Equal(names, want) {
		t.Errorf("%d of %d, failed %v, want %v", sum.Done, sum.Matched, sum.Failed, want)
	}
}

// Named jobs are taken in the order of their needs.
func TestRetryOfNamedJobsTakesNeedsFirst(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	chain := b.failedChain("named", 50)
	slices.Reverse(chain)
	answer := decodeAs[api.Selected](t, b.ask("POST", "/api/v1/jobs/retry", `{"ids":["`+strings.Join(chain, `","`)+`"]}`, jsonBody))
	if answer.Done != 50 || len(answer.Failed) > 0 {
		t.Errorf("%+v", answer)
	}
}

// A retry with dependents says how many there were, and names those that stay.
func TestRetryWithDependents(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	root := b.queued("")
	var all []string
	for range 400 {
		all = append(all, b.needing("dependents", root))
	}
	deep := b.needing("dependents", all[0], all[399])
	other := b.queued("")
	blocked := b.needing("dependents", root, other)
	b.failsNow(root)
	b.failsNow(other)
	retry := func() api.Selected {
		return decodeAs[api.Selected](t, b.ask("POST", "/api/v1/jobs/retry", fmt.Sprintf(`{"ids":[%q],"with_dependents":true}`, root), jsonBody))
	}
	first := retry()
	if d := first.Dependents; first.Done != 1 || d == nil || d.Retried != 401 || d.LeftCount != 1 || d.Left[0].ID != blocked || !strings.Contains(d.Left[0].Detail, other) || d.Pending {
		t.Errorf("%+v, %+v", first, first.Dependents)
	}
	if got := b.stateOf(deep); got != jobs.Waiting {
		t.Errorf("the job behind two dependents is %s", got)
	}
	second := retry()
	if d := second.Dependents; second.Matched != 0 || second.Done != 0 || len(second.Failed) > 0 || d == nil || d.Retried != 0 || d.LeftCount != 1 {
		t.Errorf("the second time: %+v, %+v", second, d)
	}
	selected := decodeAs[api.Selected](t, b.ask("POST", "/api/v1/jobs/retry", `{"state":"failed","program":"`+testProgram+`","with_dependents":true}`, jsonBody))
	if selected.Done != 2 || selected.Dependents == nil || b.stateOf(blocked) != jobs.Waiting {
		t.Errorf("a selection: %+v, %+v", selected, selected.Dependents)
	}
	if r := b.ask("POST", "/api/v1/jobs/reset", `{"all":true,"with_dependents":true}`, jsonBody); r.StatusCode != 422 {
		t.Errorf("reset with dependents: %d", r.StatusCode)
	}
}
