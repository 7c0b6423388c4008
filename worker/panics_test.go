package worker

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/internal/panics"
	"github.com/runnerbean/runnerbean/internal/report"
	"github.com/runnerbean/runnerbean/internal/validate"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/worker/internal/publish"
)

// panicking panics in calls about one job.
type panicking struct {
	Ledger
	publish.Store
	at  string // the call
	job atomic.Pointer[string]

	stepped atomic.Bool // into those that wait for one step only
}

func (m *panicking) step(call, text string) {
	if id := m.job.Load(); m.at == call && id != nil && strings.Contains(text, *id) {
		panic("planted")
	}
}

func (m *panicking) Claim(ctx context.Context, id string, o ledger.Owner, sum string) (ledger.Claim, error) {
	if id := m.job.Load(); m.at == "claim inside" && id != nil {
		return ledger.Claim{}, panics.Call(func() error { m.at = "claim"; m.step("claim", *id); return nil })
	}
	m.step("claim", id)
	return m.Ledger.Claim(ctx, id, o, sum)
}

func (m *panicking) Report(ctx context.Context, id string, attempt int, live ledger.Live) error {
	m.step("report", id)
	return m.Ledger.Report(ctx, id, attempt, live)
}

func (m *panicking) Finish(ctx context.Context, id string, attempt int, e ledger.Ending) ([]ledger.Record, error) {
	if m.at == "finish" && !m.stepped.Swap(true) {
		m.step("finish", id)
	}
	released, err := m.Ledger.Finish(ctx, id, attempt, e)
	if m.at == "finished" && !m.stepped.Swap(true) {
		m.step("finished", id)
	}
	return released, err
}

func (m *panicking) Cancelling(ctx context.Context, ids []string) ([]ledger.Stopping, error) {
	if id := m.job.Load(); id != nil {
		m.step("stop", *id)
	}
	return m.Ledger.Cancelling(ctx, ids)
}

func (m *panicking) Create(ctx context.Context, key string, data []byte) error {
	m.step("publish", key)
	err := m.Store.Create(ctx, key, data)
	if m.at == "published" && !m.stepped.Swap(true) {
		m.step("published", key)
	}
	return err
}

func (m *panicking) Replace(ctx context.Context, key string, data []byte) error {
	m.step("log", key)
	return m.Store.Replace(ctx, key, data)
}

// RoundTrip panics in a fetch.
func (m *panicking) RoundTrip(*http.Request) (*http.Response, error) { panic("planted") }

// TestPanics makes each stage of a job panic. The job fails, or succeeds if its result
// is published. An event has the stack. The only slot, the message and the folder are
// free again, and the next job of the program runs.
func TestPanics(t *testing.T) {
	t.Parallel()
	const waits = `echo '{"progress":0.5}' >&3; echo waiting >&2; exec sleep 1000`
	inTheStore := func(c *Config, _ *panicking) { inStore(c) }
	cases := map[string]struct {
		script string
		state  jobs.State
		plant  func(*Config, *panicking) // before the start
		arm    func(*Worker, string)     // after the worker is made
	}{
		"claim": {}, "claim inside": {}, "publish": {plant: inTheStore},
		"finish":    {state: jobs.Succeeded},
		"finished":  {state: jobs.Succeeded},
		"published": {state: jobs.Succeeded, plant: inTheStore}, "stop": {state: jobs.Succeeded, script: `sleep 1.5; cat`},
		"report": {script: waits}, "log": {script: waits},
		"start":  {plant: func(c *Config, m *panicking) { c.stage = m.stage("start") }},
		"event":  {script: waits, plant: func(c *Config, m *panicking) { c.stage = m.stage("event") }},
		"output": {plant: func(c *Config, m *panicking) { c.stage = m.stage("output") }},
		"ended": {state: jobs.Succeeded, plant: func(c *Config, m *panicking) {
			c.OnEnded = func(e report.Attempt) { m.step("ended", e.Job) }
		}},
		"input": {arm: func(w *Worker, _ string) {
			w.programs.Current().Programs["bad"].Manifest.InputSchema = &validate.Schema{}
		}},
		"result": {arm: func(w *Worker, _ string) {
			w.programs.Current().Programs["bad"].Manifest.ResultSchema = &validate.Schema{}
		}},
		"fetch": {},
	}
	for at, c := range cases {
		t.Run(strings.ReplaceAll(at, " ", "-"), func(t *testing.T) {
			t.Parallel()
			m := &panicking{at: at}
			r := newFixture(t, func(cfg *Config) {
				m.Ledger, m.Store = cfg.Ledger, cfg.Store
				cfg.Ledger, cfg.Store, cfg.Slots = m, m, 1
				if c.plant != nil {
					c.plant(cfg, m)
				}
			})
			script := c.script
			if script == "" {
				script = "cat"
			}
			r.install("bad", script)
			r.install("good", "cat")
			w, err := New(r.cfg)
			r.must(err)
			j := job("bad")
			if at == "fetch" {
				w.client.Transport = m
				j.Input = jobs.Input{URL: "http://127.0.0.1/x"}
			}
			if c.arm != nil {
				c.arm(w, j.ID)
			}
			m.job.Store(&j.ID)
			bad := r.submit(j)
			n := r.run(w)
			want := c.state
			if want == "" {
				want = jobs.Failed
			}
			record := r.await(bad, want)
			if got := r.published(bad); got != (want == jobs.Succeeded) {
				t.Errorf("the job is %s, and has a result: %v", want, got)
			}
			if e := record.Error; want == jobs.Failed && (e.Class != jobs.OutcomeInternal || !strings.Contains(e.Message, "a defect of the node: panic")) {
				t.Errorf("error is %+v", e)
			}
			r.until("an event has the stack", func() bool { return r.hasStack(bad) || at == "stop" && r.hasStack("") })
			m.job.Store(nil)
			r.await(r.submit(job("good")), jobs.Succeeded)
			r.tubeEmpty("bad")
			r.until("no file is left", func() bool { return scratchIsEmpty(r.cfg.Scratch) })
			n.stop()
			n.wait()
		})
	}
}

// stage panics at a stage of an attempt while a job is set.
func (m *panicking) stage(name string) func(string) {
	return func(stage string) {
		if stage == name && m.job.Load() != nil {
			panic("planted")
		}
	}
}

func (r *fixture) hasStack(job string) bool {
	r.t.Helper()
	list, err := r.ledger.Events.Newest(context.Background(), job, 100)
	r.must(err)
	return slices.ContainsFunc(list, func(e eventlog.Event) bool {
		return e.Kind == kindPanic && strings.Contains(e.Message, ".go:") && !strings.Contains(e.Message, "planted")
	})
}

// TestPanicAfterASwap checks that a panic fails the job whose message is held then.
func TestPanicAfterASwap(t *testing.T) {
	t.Parallel()
	var once sync.Once
	r := newFixture(t, func(c *Config) {
		c.Slots = 1
		c.stage = func(stage string) {
			if stage == "swap" {
				once.Do(func() { panic("planted") })
			}
		}
	})
	r.order("p")
	urgent, other := r.placed("p", "1", 1, time.Hour), r.placed("p", "2", 2, 0)
	r.start()
	if e := r.await(urgent, jobs.Failed).Error; e.Class != jobs.OutcomeInternal {
		t.Errorf("error is %+v", e)
	}
	r.await(other, jobs.Succeeded)
	if !r.hasEvent(urgent, kindPanic) || r.hasEvent(other, kindPanic) {
		t.Error("the event is not of the job that failed")
	}
}
