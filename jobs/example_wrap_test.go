package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/runnerbean/runnerbean/jobs"
)

// The program of a job finds the trace of the request that has put it.
func ExampleConfig_trace() {
	traced := func(next jobs.EnqueueFunc) jobs.EnqueueFunc {
		return func(ctx context.Context, batch []jobs.Job) []jobs.Enqueued {
			for i := range batch {
				batch[i].Traceparent = traceparent(ctx)
			}
			return next(ctx, batch)
		}
	}
	client, err := jobs.New(jobs.Config{Beanstalkd: []string{exampleAddr}, Wrap: traced})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	ctx := context.WithValue(context.Background(), spanKey{}, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	job, err := client.Enqueue(ctx, jobs.Job{Program: "forecast", Input: jobs.Data(42)})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(job.Traceparent)
	// Output: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
}

// traceparent returns the trace context of ctx. With OpenTelemetry it is
//
//	carrier := propagation.MapCarrier{}
//	propagation.TraceContext{}.Inject(ctx, carrier)
//	return carrier["traceparent"]
func traceparent(ctx context.Context) string {
	s, _ := ctx.Value(spanKey{}).(string)
	return s
}

type spanKey struct{}

// Metrics by program, and a quota of jobs.
func ExampleConfig_metrics() {
	put := map[string]int{} // counters of a metrics library, which are safe for concurrent use
	var took time.Duration
	counted := func(next jobs.EnqueueFunc) jobs.EnqueueFunc {
		return func(ctx context.Context, batch []jobs.Job) []jobs.Enqueued {
			begin := time.Now()
			all := next(ctx, batch)
			took += time.Since(begin)
			for _, e := range all {
				if e.Err == nil {
					put[e.Job.Program]++
				}
			}
			return all
		}
	}
	errQuota := errors.New("over the quota")
	limited := func(next jobs.EnqueueFunc) jobs.EnqueueFunc {
		return func(ctx context.Context, batch []jobs.Job) []jobs.Enqueued {
			if len(batch) <= 2 {
				return next(ctx, batch)
			}
			refused := make([]jobs.Enqueued, len(batch))
			for i, job := range batch {
				refused[i] = jobs.Enqueued{Job: job, Err: errQuota}
			}
			return refused
		}
	}
	client, err := jobs.New(jobs.Config{
		Beanstalkd: []string{exampleAddr},
		Wrap:       func(next jobs.EnqueueFunc) jobs.EnqueueFunc { return limited(counted(next)) },
	})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	job := jobs.Job{Program: "forecast", Input: jobs.Data(42)}
	_, err = client.EnqueueBatch(context.Background(), []jobs.Job{job, job})
	fmt.Println(err, put)
	_, err = client.EnqueueBatch(context.Background(), []jobs.Job{job, job, job})
	fmt.Println(errors.Is(err, errQuota), errors.Is(err, jobs.ErrNotPut), put)
	// Output:
	// <nil> map[forecast:2]
	// true true map[forecast:2]
}
