package pool

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/runnerbean/runnerbean/chaos/internal/testbed"
)

// longestFailure is how long a visitor may have to ask again and again, in seconds. The short
// form also runs on machines that are busy with other things.
func (p *pool) longestFailure() float64 { return testbed.Pick(p.bed, 5.0, 60.0) }

// startVisits has visitors who ask the balancer for results, again and again until there is an
// answer. The function end waits for them and records the longest time that one had to ask.
func (p *pool) startVisits(ctx context.Context, list []*testbed.Job) (end func()) {
	var visitors sync.WaitGroup
	var mu sync.Mutex
	var longest time.Duration
	count := 0
	for i := range 2 {
		rng := p.bed.Random("visitor" + string(rune('a'+i)))
		visitors.Go(func() {
			for testbed.Sleep(ctx, 20*time.Millisecond) {
				took := p.visit(ctx, list[rng.IntN(len(list))])
				mu.Lock()
				longest, count = max(longest, took), count+1
				mu.Unlock()
			}
		})
	}
	return func() {
		visitors.Wait()
		p.bed.History.Measure("seconds until the balancer answered, with retries, at most", longest.Seconds(), p.longestFailure())
		p.bed.History.MeasureLeast("requests of visitors", float64(count), 100)
	}
}

// visit asks until a node answers, and returns how long that took. That the job is not known
// yet is an answer. A visitor at the end of the time asks no more.
func (p *pool) visit(ctx context.Context, j *testbed.Job) time.Duration {
	began := time.Now()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.balancer.Addr+"/"+j.ID, nil)
		if err != nil {
			return 0
		}
		status, _ := testbed.Do(req)
		if status > 0 && status < http.StatusInternalServerError {
			return time.Since(began)
		}
		if !testbed.Sleep(ctx, 50*time.Millisecond) {
			return time.Since(began)
		}
	}
}
