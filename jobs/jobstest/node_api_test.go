package jobstest_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/jobs/jobstest"
)

// TestAPIOfARealNode submits durably to a real node, and looks after the jobs.
func TestAPIOfARealNode(t *testing.T) {
	t.Parallel()
	node := jobstest.Start(t, upper, jobstest.Program{Name: "nap", Run: "#!/bin/sh\nexec sleep 300\n"})
	cfg := node.Config()
	cfg.Durable, cfg.Beanstalkd = true, []string{"127.0.0.1:1"} // which must not be asked
	c, err := jobs.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := c.Ping(ctx); err != nil {
		t.Errorf("ping: %v", err)
	}
	nap := enqueue(t, c, jobs.Job{Program: "nap", Input: jobs.Data(nil), Labels: map[string]string{"bed": "1"}})
	for res, err := range c.Follow(ctx, nap.Result.URL) {
		if err != nil {
			t.Fatal(err)
		}
		if res.State == jobs.Running {
			break
		}
	}
	if _, err := c.Cancel(ctx, nap.ID); err != nil {
		t.Errorf("cancel: %v", err)
	}
	if res, err := c.Wait(ctx, nap.Result.URL); err != nil || res.State != jobs.Cancelled {
		t.Errorf("after cancel: %s, %v", res.State, err)
	}
	if res, err := c.Retry(ctx, nap.ID); err != nil || res.State.Final() {
		t.Errorf("retry: %s, %v", res.State, err)
	}
	if _, err := c.Cancel(ctx, nap.ID); err != nil {
		t.Errorf("cancel again: %v", err)
	}
	_, err = c.Enqueue(ctx, jobs.Job{Program: "uper", Input: jobs.Data(1)})
	if f, ok := errors.AsType[*jobs.Fault](err); !ok || f.Pointer != "/program" || !strings.Contains(f.Message, "upper") || !errors.Is(err, jobs.ErrNotPut) {
		t.Errorf("an unknown program: %v", err)
	}
	batch := make([]jobs.Job, 40)
	for i := range batch {
		batch[i] = jobs.Job{Program: "upper", Input: jobs.Data("a"), Labels: map[string]string{"bed": "2"}}
	}
	all, err := c.EnqueueBatch(ctx, batch)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		var result string
		res, err := c.Wait(ctx, e.Job.Result.URL)
		if err == nil {
			err = res.Decode(&result)
		}
		if err != nil || result != "A" {
			t.Fatalf("%q, %v", result, err)
		}
	}
	listed := 0
	for res, err := range c.List(ctx, jobs.Filter{Label: "bed=2", State: jobs.Succeeded}) {
		if err != nil {
			t.Fatal(err)
		}
		if res.Program == "upper" {
			listed++
		}
	}
	if listed != len(batch) {
		t.Errorf("%d jobs are listed, want %d", listed, len(batch))
	}
}
