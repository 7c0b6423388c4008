package publisher

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
)

// lose removes the results of jobs from the store.
func (b *bench) lose(ids ...string) {
	b.t.Helper()
	for _, id := range ids {
		if err := b.store.Delete(b.t.Context(), store.ResultKey(id)); err != nil {
			b.t.Fatal(err)
		}
	}
}

// TestMissingResultRunsAgain retries successes with and without their results, and jobs
// in other states. The answer of the result URL follows.
func TestMissingResultRunsAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	lost, _ := b.succeeded("1")
	kept, _ := b.succeeded("2")
	failed := b.failed()
	if r := b.get("/" + lost); r.StatusCode != http.StatusOK { // it is in memory from now on
		t.Fatalf("result: %d", r.StatusCode)
	}
	b.lose(lost)
	const order = `{"missing_result":true}`
	for id, want := range map[string]string{kept: "nothing is missing", failed: "it is failed", b.queued(""): "it is queued"} {
		r := b.ask("POST", "/api/v1/jobs/"+id+"/retry", order, jsonBody)
		if p := decodeAs[jobs.Problem](t, r); r.StatusCode != http.StatusConflict || !strings.Contains(p.Detail, want) {
			t.Errorf("%d %q, want %q", r.StatusCode, p.Detail, want)
		}
	}
	if r := b.ask("POST", "/api/v1/jobs/"+lost+"/retry", ""); r.StatusCode != http.StatusConflict {
		t.Errorf("without the order: %d", r.StatusCode)
	}
	if r := b.ask("POST", "/api/v1/jobs/"+lost+"/retry", order, jsonBody); r.StatusCode != http.StatusAccepted {
		t.Errorf("with it: %d %s", r.StatusCode, bodyOf(t, r))
	}
	r := b.get("/" + lost)
	if status := decodeAs[jobs.Result](t, r); r.StatusCode != http.StatusAccepted || status.State != jobs.Queued {
		t.Errorf("the result URL answers %d, state %s", r.StatusCode, status.State)
	}
	events, err := b.ledger.Events.Newest(t.Context(), lost, 1)
	if err != nil || len(events) != 1 || events[0].Kind != eventlog.KindResultMissing || !strings.Contains(events[0].Message, "attempt 1") {
		t.Errorf("event %+v, %v", events, err)
	}
}

// TestStaleMissingResult has an order that comes after the job ran again: it is fenced.
func TestStaleMissingResult(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id, _ := b.succeeded("1")
	acted, err := b.ledger.Act(t.Context(), ledger.VerbRetry, "", []ledger.Target{{ID: id, Missing: 2}})
	if err != nil || acted[0].Err == nil || acted[0].Record.State != jobs.Succeeded {
		t.Errorf("%+v, %v", acted, err)
	}
}

// TestMissingResultsOfASelection loses two of five results: a dry run counts them, the
// verb runs them again, and the others stay.
func TestMissingResultsOfASelection(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var ids []string
	for range 5 {
		id, _ := b.succeeded("1")
		ids = append(ids, id)
	}
	b.lose(ids[1], ids[3])
	ask := func(body string) api.Selected {
		t.Helper()
		r := b.ask("POST", "/api/v1/jobs/retry", body, jsonBody)
		if r.StatusCode != http.StatusOK {
			t.Fatalf("%d %s", r.StatusCode, bodyOf(t, r))
		}
		return decodeAs[api.Selected](t, r)
	}
	if got := ask(`{"missing_result":true,"all":true,"dry_run":true}`); got.Matched != 2 || got.Done != 0 {
		t.Errorf("dry run: %+v", got)
	}
	named, err := json.Marshal(api.Selection{IDs: ids[:2], MissingResult: true})
	if err != nil {
		t.Fatal(err)
	}
	if got := ask(string(named)); got.Done != 1 || len(got.Failed) != 1 || got.Failed[0].ID != ids[0] {
		t.Errorf("by ids: %+v", got)
	}
	if got := ask(`{"missing_result":true,"all":true}`); got.Matched != 1 || got.Done != 1 {
		t.Errorf("all: %+v", got)
	}
	if r := b.ask("POST", "/api/v1/jobs/cancel", `{"missing_result":true,"all":true}`, jsonBody); r.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("of another verb: %d", r.StatusCode)
	}
}

// TestStoreThatIsApartHasLostNothing has no result missing while the store is not that
// of the ledger.
func TestStoreThatIsApartHasLostNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *Config) {
		c.Apart = func(context.Context) error { return errors.New("unmounted") }
	})
	id, _ := b.succeeded("1")
	b.lose(id)
	r := b.ask("POST", "/api/v1/jobs/"+id+"/retry", `{"missing_result":true}`, jsonBody)
	if p := decodeAs[jobs.Problem](t, r); r.StatusCode != http.StatusServiceUnavailable || !strings.Contains(p.Detail, "unmounted") {
		t.Errorf("%d %+v", r.StatusCode, p)
	}
}

// TestOtherNodeForgetsALostResult has the result in the memory of one node, and another
// node runs the job again.
func TestOtherNodeForgetsALostResult(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id, _ := b.succeeded("1")
	if r := b.get("/" + id); r.StatusCode != http.StatusOK {
		t.Fatalf("result: %d", r.StatusCode)
	}
	b.lose(id)
	other, err := ledger.Open(t.Context(), ledger.Config{DSN: "sqlite:" + b.ledgerFile()})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if acted, err := other.Act(t.Context(), ledger.VerbRetry, "", []ledger.Target{{ID: id, Missing: 1}}); err != nil || acted[0].Err != nil {
		t.Fatalf("%+v, %v", acted, err)
	}
	for deadline := time.Now().Add(time.Minute); b.get("/"+id).StatusCode != http.StatusAccepted; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the result is still in memory")
		}
	}
}
