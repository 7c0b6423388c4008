package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/internal/jobdoc"
	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
	"github.com/runnerbean/runnerbean/jobs"
)

// traced sets the trace of every job.
func traced(next jobs.EnqueueFunc) jobs.EnqueueFunc {
	return func(ctx context.Context, batch []jobs.Job) []jobs.Enqueued {
		for i := range batch {
			batch[i].Traceparent = aTrace
		}
		return next(ctx, batch)
	}
}

const aTrace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func TestWrap(t *testing.T) {
	t.Parallel()
	s := queuetest.Start(t)
	var seen [][]string
	made := 0
	c := newClient(t, jobs.Config{Beanstalkd: []string{s.Addr}, Wrap: func(next jobs.EnqueueFunc) jobs.EnqueueFunc {
		made++
		next = traced(next)
		return func(ctx context.Context, batch []jobs.Job) []jobs.Enqueued {
			var ids []string
			for _, job := range batch {
				if !jobs.ValidID(job.ID) || job.Result.URL == "" || job.Created.IsZero() {
					t.Errorf("not filled in: %+v", job)
				}
				ids = append(ids, job.ID)
			}
			seen = append(seen, ids)
			return next(ctx, batch)
		}
	}})
	one, err := c.Enqueue(t.Context(), jobs.Job{Program: "forecast", Input: jobs.Data(1)})
	if err != nil || one.Traceparent != aTrace {
		t.Errorf("got %+v, %v", one, err)
	}
	batch := []jobs.Job{{Program: "forecast", Input: jobs.Data(1)}, {Program: "../x", Input: jobs.Data(1)}, {Program: "forecast", Input: jobs.Data(2)}}
	all, err := c.EnqueueBatch(t.Context(), batch)
	if len(all) != 3 || all[0].Err != nil || !errors.Is(all[1].Err, jobs.ErrInvalid) || all[2].Err != nil || !errors.Is(err, jobs.ErrInvalid) {
		t.Fatalf("got %+v, %v", all, err)
	}
	if batch[0].ID != "" || batch[0].Traceparent != "" {
		t.Error("the caller's batch was changed")
	}
	want := [][]string{{one.ID}, {all[0].Job.ID, all[1].Job.ID, all[2].Job.ID}}
	if diff := cmp.Diff(want, seen); diff != "" || made != 1 {
		t.Errorf("made %d times: %s", made, diff)
	}
	list, _ := openInbox(t, s.Addr, "runnerbean/inbox").jobs()
	for _, job := range list {
		if job.Traceparent != aTrace {
			t.Errorf("put %+v", job)
		}
	}
	if len(list) != 3 {
		t.Errorf("%d jobs were put, want 3", len(list))
	}
}

func TestWrapRefuses(t *testing.T) {
	quota := errors.New("over the quota")
	type outcomes = []jobs.Enqueued
	for name, tt := range map[string]struct {
		wrap func(ctx context.Context, next jobs.EnqueueFunc, batch []jobs.Job) outcomes
		want error
		is   error
	}{
		"an error of its own": {func(_ context.Context, _ jobs.EnqueueFunc, b []jobs.Job) outcomes {
			return outcomes{{Job: b[0], Err: quota}}
		}, jobs.ErrNotPut, quota},
		"without the job": {func(context.Context, jobs.EnqueueFunc, []jobs.Job) outcomes { return outcomes{{Err: quota}} }, jobs.ErrNotPut, quota},
		"says that it may be": {func(context.Context, jobs.EnqueueFunc, []jobs.Job) outcomes {
			return outcomes{{Err: fmt.Errorf("%w: %w", jobs.ErrMaybePut, quota)}}
		}, jobs.ErrMaybePut, quota},
		"no outcome":        {func(context.Context, jobs.EnqueueFunc, []jobs.Job) outcomes { return nil }, jobs.ErrMaybePut, nil},
		"outcomes too many": {func(context.Context, jobs.EnqueueFunc, []jobs.Job) outcomes { return make(outcomes, 2) }, jobs.ErrMaybePut, nil},
		"a job without its data": {func(ctx context.Context, next jobs.EnqueueFunc, b []jobs.Job) outcomes {
			b[0].Input = jobs.Input{}
			return next(ctx, b)
		}, jobs.ErrNotPut, jobs.ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := clientWith(t, jobs.Config{Durable: true, Wrap: func(next jobs.EnqueueFunc) jobs.EnqueueFunc {
					return func(ctx context.Context, batch []jobs.Job) []jobs.Enqueued { return tt.wrap(ctx, next, batch) }
				}}, never(t))
				job, err := c.Enqueue(t.Context(), jobs.Job{ID: anID, Program: "forecast", Input: jobs.Data(1)})
				if job.ID != anID {
					t.Errorf("returned %+v", job)
				}
				if !errors.Is(err, tt.want) || errors.Is(err, jobs.ErrNotPut) == errors.Is(err, jobs.ErrMaybePut) || tt.is != nil && !errors.Is(err, tt.is) {
					t.Errorf("error %v", err)
				}
			})
		})
	}
}

// TestWrapMayPanic checks that a panic of the application's own function is its own affair.
func TestWrapMayPanic(t *testing.T) {
	t.Parallel()
	c := newClient(t, jobs.Config{Wrap: func(jobs.EnqueueFunc) jobs.EnqueueFunc {
		return func(context.Context, []jobs.Job) []jobs.Enqueued { panic("a mine") }
	}})
	defer func() {
		if got := recover(); got != "a mine" {
			t.Errorf("recovered %v", got)
		}
	}()
	_, _ = c.Enqueue(t.Context(), jobs.Job{})
}

// TestDurableBatch checks that each job of a batch has its own outcome, and that a bounded
// number of them is submitted at the same time.
func TestDurableBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int64
		c := clientWith(t, jobs.Config{Durable: true, Wrap: traced}, takesNoArrays(func(w http.ResponseWriter, r *http.Request) {
			most.Store(max(most.Load(), now.Add(1)))
			defer now.Add(-1)
			time.Sleep(time.Millisecond)
			job := decoded(t, r)
			switch job.Program {
			case "cut":
				cut(w, r)
			case "busy":
				after("60", problem(503, "the queue is drained"))(w, r)
			case "odd":
				problem(422, "no such program")(w, r)
			default:
				text(201, "application/json", strings.ReplaceAll(state(jobs.Queued, ""), anID, job.ID))(w, r)
			}
		}))
		var batch []jobs.Job
		programs := []string{"fine", "cut", "busy", "odd"}
		for i := range 40 {
			batch = append(batch, jobs.Job{Program: programs[i%4], Input: jobs.Data(i)})
		}
		all, err := c.EnqueueBatch(t.Context(), batch)
		if !errors.Is(err, jobs.ErrMaybePut) || len(all) != 40 {
			t.Fatalf("%d outcomes, %v", len(all), err)
		}
		if n := most.Load(); n < 2 || n > 16 {
			t.Errorf("%d at the same time", n)
		}
		for i, e := range all {
			want := []error{nil, jobs.ErrMaybePut, jobs.ErrOverloaded, jobs.ErrInvalid}[i%4]
			if want == nil && e.Err != nil || !errors.Is(e.Err, want) || string(e.Job.Input.Data) != fmt.Sprint(i) {
				t.Errorf("job %d, %s: %v, want %v", i, e.Job.Program, e.Err, want)
			}
		}
	})
}

// decoded returns the job of a request.
func decoded(t *testing.T, r *http.Request) jobs.Job {
	t.Helper()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Error(err)
	}
	job, err := jobdoc.Decode(body)
	if err != nil {
		t.Errorf("%q: %v", body, err)
	}
	return job
}
