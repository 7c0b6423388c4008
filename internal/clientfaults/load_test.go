package clientfaults

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/runnerbean/runnerbean/internal/retry"
	"github.com/runnerbean/runnerbean/jobs"
)

// outcome is what a call reported about a job.
type outcome int

const (
	notPut outcome = iota
	unknown
	wasPut
)

// try is one call for one job.
type try struct {
	outcome outcome
	// began is when the caller called.
	began time.Time
	// ended is set if the caller's context had ended.
	ended bool
	err   error
}

// record is what was reported about a job.
type record struct {
	id, url string
	input   int
	tries   []try
}

// known is what the caller knows after all tries.
func (r *record) known() outcome {
	best := notPut
	for _, t := range r.tries {
		best = max(best, t.outcome)
	}
	return best
}

// outcomeOf reads an error of package jobs. An error that says neither or both things
// is a fault of the package.
func outcomeOf(err error) (outcome, error) {
	not, maybe := errors.Is(err, jobs.ErrNotPut), errors.Is(err, jobs.ErrMaybePut)
	switch {
	case err == nil:
		return wasPut, nil
	case not == maybe:
		return unknown, fmt.Errorf("not put %v, maybe put %v: %w", not, maybe, err)
	case maybe:
		return unknown, nil
	}
	return notPut, nil
}

// load is many callers.
type load struct {
	clients []*jobs.Client
	program string
	think   time.Duration // between two calls of a caller, on average

	mu      sync.Mutex
	records map[string]*record
	strange []error // that say neither or both things
	tries   int
}

// call is the callers' life: jobs, batches and retries until ctx ends.
func (l *load) call(ctx context.Context, random *rand.Rand) {
	var again []jobs.Job
	for retry.Sleep(ctx, time.Duration(random.ExpFloat64()*float64(l.think))) {
		batch := again
		if len(batch) == 0 {
			batch = l.newJobs(random)
		}
		again = nil
		c := l.clients[random.IntN(len(l.clients))]
		limited, cancel := randomContext(random)
		began := time.Now()
		all := enqueue(limited, c, batch)
		for _, e := range all {
			if l.note(e, began, limited.Err() != nil) != wasPut && random.IntN(2) == 0 {
				again = append(again, e.Job)
			}
		}
		cancel()
	}
}

// enqueue puts one job with Enqueue and several with EnqueueBatch.
func enqueue(ctx context.Context, c *jobs.Client, batch []jobs.Job) []jobs.Enqueued {
	if len(batch) > 1 {
		all, err := c.EnqueueBatch(ctx, batch)
		for i := range all {
			if all[i].Err != nil && err == nil {
				all[i].Err = fmt.Errorf("an error only of one job: %v", all[i].Err)
			}
		}
		return all
	}
	job, err := c.Enqueue(ctx, batch[0])
	return []jobs.Enqueued{{Job: job, Err: err}}
}

func (l *load) newJobs(random *rand.Rand) []jobs.Job {
	batch := make([]jobs.Job, 1)
	if random.IntN(10) == 0 {
		batch = make([]jobs.Job, 2+random.IntN(9))
	}
	for i := range batch {
		batch[i] = jobs.Job{ID: jobs.NewID(), Program: l.program, Input: jobs.Input{Data: fmt.Append(nil, random.IntN(math.MaxInt32))}}
	}
	return batch
}

// randomContext ends after 5 ms to 5 s, or never; one in twenty is cancelled.
func randomContext(random *rand.Rand) (context.Context, context.CancelFunc) {
	d := time.Duration(float64(5*time.Millisecond) * math.Pow(1000, random.Float64()))
	switch random.IntN(20) {
	case 0:
		return context.WithCancel(context.Background())
	case 1:
		ctx, cancel := context.WithCancel(context.Background())
		timer := time.AfterFunc(d, cancel)
		return ctx, func() { timer.Stop(); cancel() }
	}
	return context.WithTimeout(context.Background(), d)
}

func (l *load) note(e jobs.Enqueued, began time.Time, ended bool) outcome {
	o, strange := outcomeOf(e.Err)
	l.mu.Lock()
	defer l.mu.Unlock()
	if strange != nil {
		l.strange = append(l.strange, strange)
	}
	r := l.records[e.Job.ID]
	if r == nil {
		r = &record{id: e.Job.ID, url: e.Job.Result.URL}
		_, _ = fmt.Sscan(string(e.Job.Input.Data), &r.input)
		l.records[e.Job.ID] = r
	}
	r.tries = append(r.tries, try{outcome: o, began: began, ended: ended, err: e.Err})
	l.tries++
	return o
}
