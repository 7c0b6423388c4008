package jobstest_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/jobs/jobstest"
)

// TestFakeAnswersAsANode does the same with a fake and with a node, and compares what a
// client sees.
func TestFakeAnswersAsANode(t *testing.T) {
	t.Parallel()
	f := jobstest.NewFake(t)
	f.Handle("upper", func(jobs.Job) (any, error) { return "HELLO", nil })
	f.Handle("wrong", func(jobs.Job) (any, error) { return nil, errors.New("no such meter") })
	node := jobstest.Start(t, upper, jobstest.Program{Name: "wrong", Run: `#!/bin/sh
echo no such meter >&2
exit 65
`})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	want, got := observe(ctx, t, node.Config()), observe(ctx, t, f.Config())
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(- the node, + the fake)\n%s", diff)
	}
	if len(want) < 15 {
		t.Errorf("%d things were compared", len(want))
	}
}

// observe returns what a client sees, in words without ids and times.
func observe(ctx context.Context, t *testing.T, cfg jobs.Config) map[string]string {
	t.Helper()
	client, err := jobs.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	cfg.Durable = true
	durable, err := jobs.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer durable.Close()
	seen := map[string]string{}
	for _, c := range []*jobs.Client{client, durable} {
		name := map[*jobs.Client]string{client: "by beanstalkd", durable: "by the API"}[c]
		ok := enqueue(t, c, jobs.Job{Program: "upper", Input: jobs.Data("hello"), Labels: map[string]string{"a": "b"}})
		res, err := c.Wait(ctx, ok.Result.URL)
		seen["Wait, "+name] = describe(res, err)
		_, err = c.Enqueue(ctx, ok)
		seen["the same again, "+name] = describe(jobs.Result{}, err)
		bad := enqueue(t, c, jobs.Job{Program: "wrong", Input: jobs.Data(1)})
		res, err = c.Wait(ctx, bad.Result.URL)
		seen["Wait for a failure, "+name] = describe(res, err)
		var last jobs.Result
		for res, err := range c.Follow(ctx, bad.Result.URL) {
			if last = res; err != nil {
				t.Fatal(err)
			}
		}
		seen["end of Follow, "+name] = describe(last, nil)
		manage(ctx, c, ok.ID, bad.ID, name, seen)
		if c == durable {
			ok.Input = jobs.Data("another")
			_, err = c.Enqueue(ctx, ok)
			seen["the same id with another input"] = fmt.Sprint(errors.Is(err, jobs.ErrConflict), errors.Is(err, jobs.ErrNotPut))
		}
	}
	unknown := cfg.BaseURL + "/" + "019aae04-9f80-7c61-8d2e-5b1c7a90e1f2"
	res, err := client.Result(ctx, unknown)
	seen["Result of nothing"] = describe(res, err)
	_, err = client.Get(ctx, "019aae04-9f80-7c61-8d2e-5b1c7a90e1f2")
	seen["Get nothing"] = describe(jobs.Result{}, err)
	cfg.Token = "another"
	stranger, err := jobs.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	_, err = stranger.Enqueue(ctx, jobs.Job{Program: "upper", Input: jobs.Data(1)})
	seen["Enqueue with another token"] = describe(jobs.Result{}, err)
	seen["Ping with another token"] = describe(jobs.Result{}, stranger.Ping(ctx))
	return seen
}

// manage gets, cancels and retries a success and a failure.
func manage(ctx context.Context, c *jobs.Client, ok, bad, name string, seen map[string]string) {
	d, err := c.Get(ctx, ok)
	seen["Get a success, "+name] = describe(d.Status, err) + fmt.Sprint(d.Allowed, d.Job.Labels)
	res, err := c.Cancel(ctx, ok)
	seen["Cancel a success, "+name] = describe(res, err)
	res, err = c.Retry(ctx, ok)
	seen["Retry a success, "+name] = describe(res, err)
	d, err = c.Get(ctx, bad)
	seen["Get a failure, "+name] = describe(d.Status, err) + fmt.Sprint(d.Allowed)
	res, err = c.Cancel(ctx, bad)
	seen["Cancel a failure, "+name] = describe(res, err)
	for res, err := range c.List(ctx, jobs.Filter{Program: "wrong"}) {
		seen["List, "+name] = describe(res, err)
	}
}

// describe writes what a test may rely on.
func describe(res jobs.Result, err error) string {
	s := fmt.Sprintf("%s %s attempt %d", res.State, res.Result, res.Attempt)
	if res.Error != nil {
		s += fmt.Sprintf(" %s: %s", res.Error.Class, res.Error.Message)
	}
	for name, target := range map[string]error{"not put": jobs.ErrNotPut, "conflict": jobs.ErrConflict, "unknown": jobs.ErrUnknown} {
		if errors.Is(err, target) {
			s += ", " + name
		}
	}
	if p, ok := errors.AsType[*jobs.Problem](err); ok {
		s += ", " + http.StatusText(p.Status)
	} else if err != nil {
		s += ", " + err.Error()
	}
	return s
}
