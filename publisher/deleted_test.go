package publisher

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/retention"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// remove removes the objects of all deleted jobs.
func (b *bench) remove() {
	b.t.Helper()
	list, err := b.ledger.Retention.Removals(b.t.Context(), "")
	if err != nil {
		b.t.Fatal(err)
	}
	for _, v := range list {
		if err := b.store.RemoveJobs(b.t.Context(), []store.JobObjects{{ID: v.Job, Attempts: v.Attempts}}); err != nil {
			b.t.Fatal(err)
		}
	}
	if err := b.ledger.Retention.Removed(b.t.Context(), list); err != nil {
		b.t.Fatal(err)
	}
}

// TestADeletedResultIsGone asks for results that are in memory, in the store only, and
// removed from it.
func TestADeletedResultIsGone(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	addr, stop := b.serve()
	defer func() { _ = stop() }()
	cached, _ := b.succeeded("[1]")
	unread, _ := b.succeeded("[2]")
	large, _ := b.succeeded(`"` + strings.Repeat("x", 2<<20) + `"`)
	for _, id := range []string{cached, large} {
		if r := b.get("/" + id); r.StatusCode != http.StatusOK {
			t.Fatalf("before: %d", r.StatusCode)
		}
	}
	ids := []string{cached, unread, large}
	for _, id := range ids {
		b.do(ledger.VerbDelete, id)
	}
	for range 2 {
		for _, id := range ids {
			for _, target := range []string{"/" + id, "/results/" + id, "/" + id + "/log", "/" + id + "/files/x", "/" + id + "/events", "/api/v1/jobs/" + id} {
				r := b.get(target)
				if body := bodyOf(t, r); r.StatusCode != http.StatusGone || !strings.Contains(body, "was deleted at 20") || r.Header.Get("Cache-Control") != "no-store" {
					t.Errorf("%s: %d %v %s", target, r.StatusCode, r.Header, body)
				}
			}
			if r := b.get("/"+id, "Accept: text/html", "Sec-Fetch-Mode: navigate"); r.StatusCode != http.StatusGone || !strings.Contains(bodyOf(t, r), "This result was deleted") {
				t.Errorf("the page: %d", r.StatusCode)
			}
			if head, _ := raw(t, addr, "GET /"+id+" HTTP/1.1\r\nHost: x\r\n\r\n"); !strings.Contains(strings.Join(head, "\n"), "410 Gone") {
				t.Errorf("over the fast path: %v", head)
			}
		}
		b.remove()
	}
}

// TestAnObjectThatADeletionRemovedIsNotMissing asks what is answered where the ledger was
// read before the deletion, and the store after it.
func TestAnObjectThatADeletionRemovedIsNotMissing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id, _ := b.succeeded("[1]")
	b.do(ledger.VerbDelete, id)
	for asked, want := range map[string]int{id: http.StatusGone, jobs.NewID(): 0} {
		p, _ := httpio.ProblemOf(b.p.deletedMeanwhile(t.Context(), asked, httpio.ErrMissing))
		if (p.Status == http.StatusGone) != (want != 0) {
			t.Errorf("of %s: %+v", asked, p)
		}
	}
}

// TestAResultThatAnotherNodeDeletesIsForgotten deletes through another Ledger of the file.
func TestAResultThatAnotherNodeDeletesIsForgotten(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id, _ := b.succeeded("[1]")
	b.get("/" + id)
	other, err := ledger.Open(t.Context(), ledger.Config{DSN: "sqlite:" + b.ledgerFile()})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	acted, err := other.Act(t.Context(), ledger.VerbDelete, "Ann", []ledger.Target{{ID: id}})
	if err != nil || acted[0].Err != nil {
		t.Fatal(err, acted)
	}
	b.eventually(func() bool { return b.get("/"+id).StatusCode == http.StatusGone })
}

// TestReadsDuringADeletion reads results all the time while they are deleted and removed.
func TestReadsDuringADeletion(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var ids []string
	for i := range 40 {
		id, _ := b.succeeded(fmt.Sprintf(`"%d%s"`, i, strings.Repeat("x", (i%2)*(1<<20))))
		ids = append(ids, id)
	}
	deleted := make([]atomic.Bool, len(ids))
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for ended := false; !ended; {
				select {
				case <-done:
					ended = true
				default:
				}
				for i, id := range ids {
					before := deleted[i].Load()
					status := b.get("/" + id).StatusCode
					if status != http.StatusGone && (status != http.StatusOK || before) {
						t.Errorf("%d, deleted before: %v", status, before)
					}
				}
			}
		})
	}
	for i, id := range ids {
		b.do(ledger.VerbDelete, id)
		deleted[i].Store(true)
		b.remove()
	}
	close(done)
	readers.Wait()
}

// TestASelectionOfManyIsDeletedInParts deletes 10,000 jobs, stops half way, and goes on.
func TestASelectionOfManyIsDeletedInParts(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const n = 10_000
	for range n / 1000 {
		var entries []ledger.Entry
		for range 1000 {
			j := jobs.Job{ID: jobs.NewID(), Program: testProgram, Labels: map[string]string{"a": "b"}}
			entries = append(entries, ledger.Entry{Job: j, Document: []byte(`{}`), Fault: &jobs.Error{Class: jobs.ClassDocument, Message: "bad"}})
		}
		if _, err := b.ledger.Accept(t.Context(), entries); err != nil {
			t.Fatal(err)
		}
	}
	kept := b.queued("")
	first := decodeAs[api.Selected](t, b.ask("POST", "/api/v1/jobs/delete", `{"state":"failed","limit":1000}`, jsonBody))
	if first.Done != 1000 || first.Next == "" {
		t.Fatalf("the first part: %+v", first)
	}
	for range 4 { // the client forgets where it was
		b.ask("POST", "/api/v1/jobs/delete", `{"program":"forecast","limit":1000}`, jsonBody)
	}
	sum, _ := b.selectAll(ledger.VerbDelete, api.Selection{Program: testProgram, Limit: 1000})
	if sum.Done != n-5000 || len(sum.Failed) > 0 {
		t.Errorf("the rest: %d done, %v", sum.Done, sum.Failed)
	}
	if counts := b.statesOf(); counts[jobs.Failed] != 0 || counts[jobs.Queued] != 1 {
		t.Errorf("left are %v", counts)
	}
	counts, err := b.ledger.Activity.Counts(t.Context())
	if err != nil || counts[jobs.Failed] != 0 {
		t.Errorf("counted are %v, %v", counts, err)
	}
	list, err := b.ledger.Retention.Removals(t.Context(), "")
	if err != nil || len(list) != retention.MaxRemovals {
		t.Errorf("%d removals, %v", len(list), err)
	}
	if r := b.get("/" + kept); r.StatusCode != http.StatusAccepted {
		t.Errorf("a queued job: %d", r.StatusCode)
	}
}

// TestRetryAndDeleteAtOnce sends both for one job; exactly one of them is done.
func TestRetryAndDeleteAtOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for range 50 {
		id := b.failed()
		var done atomic.Int32
		var both sync.WaitGroup
		for _, verb := range []string{"retry", "delete"} {
			both.Go(func() {
				switch r := b.ask("POST", "/api/v1/jobs/"+id+"/"+verb, ""); r.StatusCode {
				case http.StatusAccepted:
					done.Add(1)
				case http.StatusConflict, http.StatusGone:
				default:
					t.Errorf("%s: %d", verb, r.StatusCode)
				}
			})
		}
		both.Wait()
		if n := done.Load(); n != 1 {
			t.Errorf("%d of retry and delete were done", n)
		}
	}
}
