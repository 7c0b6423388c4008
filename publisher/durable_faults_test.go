package publisher

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/jobs"
)

// faulty loses requests and answers between a client and a node, as a proxy does whose
// node or whose own process is killed.
func faulty(next http.Handler, healthy *atomic.Bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		what := rand.IntN(10)
		if healthy.Load() {
			what = 9
		}
		switch what {
		case 0: // before the node
			panic(http.ErrAbortHandler)
		case 1:
			w.WriteHeader(http.StatusBadGateway)
		case 2:
			next.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		case 3: // a proxy's own answer
			next.ServeHTTP(httptest.NewRecorder(), r)
			w.WriteHeader(http.StatusServiceUnavailable)
		case 4: // for longer than the client waits
			next.ServeHTTP(httptest.NewRecorder(), r)
			<-r.Context().Done()
		case 5: // the node itself
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusTooManyRequests)
			_, _ = w.Write([]byte(`{"title":"Too Many Requests","detail":"wait"}`))
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// TestDurableUnderFaults checks what Enqueue reports against the ledger: a job that was put
// is there, and one that was not put is not. Each of the others can be put again.
func TestDurableUnderFaults(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var healthy atomic.Bool
	server := httptest.NewServer(faulty(b.p.Handler(), &healthy))
	t.Cleanup(server.Close)
	client := func(timeout time.Duration) *jobs.Client {
		c, err := jobs.New(jobs.Config{API: server.URL, Durable: true, Timeout: timeout, Logger: b.p.log})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	c, patient := client(50*time.Millisecond), client(time.Minute)
	const callers, each = 32, 4
	outcomes := make(chan jobs.Enqueued, 2*callers*each)
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rand.Int64N(int64(time.Second))))
			defer cancel()
			var batch []jobs.Job
			for range each {
				job, err := c.Enqueue(ctx, jobs.Job{Program: testProgram, Input: jobs.Data(1)})
				outcomes <- jobs.Enqueued{Job: job, Err: err}
				batch = append(batch, jobs.Job{Program: testProgram, Input: jobs.Data(2)})
			}
			all, _ := c.EnqueueBatch(ctx, batch)
			for _, e := range all {
				outcomes <- e
			}
		})
	}
	wg.Wait()
	close(outcomes)
	counts := map[error]int{}
	var again []jobs.Job
	for e := range outcomes {
		_, err := b.ledger.Get(t.Context(), e.Job.ID)
		recorded := err == nil
		if e.Err != nil {
			again = append(again, e.Job)
		}
		if err != nil && !errors.Is(err, ledger.ErrUnknown) {
			t.Fatal(err)
		}
		switch {
		case e.Err == nil:
			counts[nil]++
			if !recorded {
				t.Errorf("job %s was put and is not in the ledger", e.Job.ID)
			}
		case errors.Is(e.Err, jobs.ErrMaybePut):
			counts[jobs.ErrMaybePut]++
		case errors.Is(e.Err, jobs.ErrNotPut):
			counts[jobs.ErrNotPut]++
			if recorded {
				t.Errorf("job %s is in the ledger: %v", e.Job.ID, e.Err)
			}
		default:
			t.Errorf("job %s: %v says not what is known", e.Job.ID, e.Err)
		}
	}
	t.Log(counts)
	healthy.Store(true)
	for _, job := range again {
		if _, err := patient.Enqueue(t.Context(), job); err != nil {
			t.Errorf("put again: %v", err)
		}
	}
}
