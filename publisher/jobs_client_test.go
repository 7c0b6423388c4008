package publisher

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/jobs"
)

// clientOf returns a client of a bench's API with a token, which submits durably.
func (b *bench) clientOf(who badge) *jobs.Client {
	b.t.Helper()
	server := httptest.NewServer(b.p.Handler())
	b.t.Cleanup(server.Close)
	c, err := jobs.New(jobs.Config{API: server.URL, Token: who.secret, Durable: true})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestClientOfTheLibrary(t *testing.T) {
	t.Parallel()
	b, shop, blog, otto := submitters(t)
	c := b.clientOf(otto)
	id := b.queued(`"labels":{"meter":"4 2"},"webhook":"https://shop.example/done?key=1"`)
	d, err := c.Get(t.Context(), id)
	if err != nil || d.Job.ID != id || d.Job.Labels["meter"] != "4 2" || d.Status.State != jobs.Queued || d.Updated.IsZero() || len(d.Allowed) == 0 {
		t.Errorf("got %+v, %v", d, err)
	}
	for range 2 { // the second time it has ended
		if res, err := c.Cancel(t.Context(), id); err != nil || res.State != jobs.Cancelled {
			t.Errorf("cancel: %s, %v", res.State, err)
		}
	}
	for range 2 { // the second time it is queued
		if res, err := c.Retry(t.Context(), id); err != nil || res.State != jobs.Queued {
			t.Errorf("retry: %s, %v", res.State, err)
		}
	}
	done, _ := b.succeeded("[1]")
	if res, err := c.Cancel(t.Context(), done); err != nil || res.State != jobs.Succeeded {
		t.Errorf("cancel a success: %s, %v", res.State, err)
	}
	if _, err := c.Retry(t.Context(), done); !errors.Is(err, jobs.ErrConflict) || !strings.Contains(err.Error(), "never changes") {
		t.Errorf("retry a success: %v", err)
	}
	if _, err := c.Cancel(t.Context(), jobs.NewID()); !errors.Is(err, jobs.ErrUnknown) {
		t.Errorf("cancel an unknown job: %v", err)
	}
	_, err = b.clientOf(shop).Retry(t.Context(), id)
	if p, ok := errors.AsType[*jobs.Problem](err); !ok || p.Status != http.StatusForbidden || !strings.Contains(err.Error(), "role operator") {
		t.Errorf("retry with the role submit: %v", err)
	}
	if _, err := b.clientOf(blog).Get(t.Context(), id); !errors.Is(err, jobs.ErrUnknown) {
		t.Errorf("the job of another: %v", err)
	}
}

func TestListOfTheLibrary(t *testing.T) {
	t.Parallel()
	b, _, _, otto := submitters(t)
	c := b.clientOf(otto)
	const many = 250 // more than two pages
	for range many {
		b.queued(`"labels":{"meter":"4 2"}`)
	}
	b.queued("")
	seen := map[string]bool{}
	last := ""
	for res, err := range c.List(t.Context(), jobs.Filter{State: jobs.Queued, Program: testProgram, Label: "meter=4 2"}) {
		if err != nil {
			t.Fatal(err)
		}
		if seen[res.ID] || last != "" && res.ID > last {
			t.Errorf("%s comes after %s", res.ID, last)
		}
		seen[res.ID], last = true, res.ID
	}
	if len(seen) != many {
		t.Errorf("%d jobs, want %d", len(seen), many)
	}
	for _, err := range c.List(t.Context(), jobs.Filter{State: "odd"}) {
		if p, ok := errors.AsType[*jobs.Problem](err); !ok || p.Status != http.StatusBadRequest {
			t.Errorf("a bad state: %v", err)
		}
	}
}

func TestDurableOfTheLibrary(t *testing.T) {
	t.Parallel()
	held := false
	b, shop, blog, _ := submitters(t, holdable(&held))
	c := b.clientOf(shop)
	if err := c.Ping(t.Context()); err != nil {
		t.Errorf("ping: %v", err)
	}
	job, err := c.Enqueue(t.Context(), jobs.Job{Program: testProgram, Input: jobs.Data(1)})
	if err != nil {
		t.Fatal(err)
	}
	if d, err := c.Get(t.Context(), job.ID); err != nil || d.Status.State != jobs.Queued || string(d.Job.Input.Data) != "1" {
		t.Errorf("recorded: %+v, %v", d, err)
	}
	job.Created = job.Created.Add(time.Second)
	if _, err := c.Enqueue(t.Context(), job); err != nil {
		t.Errorf("again, at another time: %v", err)
	}
	_, err = b.clientOf(blog).Enqueue(t.Context(), job)
	if !errors.Is(err, jobs.ErrConflict) || !errors.Is(err, jobs.ErrNotPut) {
		t.Errorf("under the id of another: %v", err)
	}
	job.Input = jobs.Data(2)
	_, err = c.Enqueue(t.Context(), job)
	if p, ok := errors.AsType[*jobs.Problem](err); !errors.Is(err, jobs.ErrConflict) || !ok || p.Pointer != "/input/data" {
		t.Errorf("another input: %v", err)
	}
	all, err := c.EnqueueBatch(t.Context(), []jobs.Job{{Program: testProgram, Input: jobs.Data(1)}, job, {Program: testProgram, Input: jobs.Data(3)}})
	if all[0].Err != nil || all[2].Err != nil || !errors.Is(all[1].Err, jobs.ErrConflict) || !errors.Is(err, jobs.ErrConflict) {
		t.Errorf("a batch: %v", err)
	}
	for _, at := range []int{0, 2} {
		if d, err := c.Get(t.Context(), all[at].Job.ID); err != nil || d.Status.State != jobs.Queued {
			t.Errorf("job %d of a batch: %+v, %v", at, d, err)
		}
	}
	held = true
	if _, err := c.Enqueue(t.Context(), jobs.Job{Program: testProgram, Input: jobs.Data(1)}); !errors.Is(err, jobs.ErrOverloaded) || !errors.Is(err, jobs.ErrNotPut) || !strings.Contains(err.Error(), "the queue is drained") {
		t.Errorf("while it is drained: %v", err)
	}
}

func TestPingOfTheLibraryNeedsASubmitter(t *testing.T) {
	t.Parallel()
	b, shop, _, _ := submitters(t, func(c *Config) { c.ReadOnly = "set RUNNERBEAN_TOKENS_FILE" })
	if err := b.clientOf(shop).Ping(t.Context()); err == nil || !strings.Contains(err.Error(), "RUNNERBEAN_TOKENS_FILE") {
		t.Errorf("a node that is read-only: %v", err)
	}
	b, shop, _, _ = submitters(t)
	shop.secret = "rb_guess"
	if err := b.clientOf(shop).Ping(t.Context()); err == nil || !strings.Contains(err.Error(), "role submit or operator") {
		t.Errorf("a wrong token: %v", err)
	}
}

// TestPostOfAJobWhoseResultIsMissing checks that a recorded job is not answered with 503,
// which means that it was not recorded.
func TestPostOfAJobWhoseResultIsMissing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id, _ := b.succeeded("1")
	b.lose(id)
	r := b.ask("POST", "/api/v1/jobs", string(jobDocument(id, "")), jsonBody)
	if res := decodeAs[jobs.Result](t, r); r.StatusCode != http.StatusOK || res.ID != id || res.State != jobs.Succeeded {
		t.Errorf("%d %+v", r.StatusCode, res)
	}
}

// BenchmarkDurableEnqueue puts jobs through the API of a node with a ledger on the disk, one
// after another and in batches.
func BenchmarkDurableEnqueue(b *testing.B) {
	c := newBench(b).clientOf(badge{})
	for _, size := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("batch=%d", size), func(b *testing.B) {
			batch := slices.Repeat([]jobs.Job{{Program: testProgram, Input: jobs.Data(1)}}, size)
			for b.Loop() {
				if _, err := c.EnqueueBatch(b.Context(), batch); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N*size)/b.Elapsed().Seconds(), "jobs/s")
		})
	}
}
