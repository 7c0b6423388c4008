package worker

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/retry"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/worker/internal/fault"
)

func TestWaitText(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		time.Second: "1 s", time.Minute: "60 s", 90 * time.Second: "90 s", 10 * time.Minute: "10 min",
		601 * time.Second: "601 s", time.Hour: "1 h", 90 * time.Minute: "1 h 30 min", 6 * time.Hour: "6 h",
	} {
		if got := waitText(d); got != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
}

// TestAwaitInputs checks every wait for inputs until the job fails.
func TestAwaitInputs(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 26, 8, 0, 0, 0, time.UTC)
	p := policy{
		backoff: retry.Backoff{Base: time.Second, Max: time.Minute, Jitter: func() float64 { return 1 }}, attempts: 3, patience: inputPatience,
		inputs: retry.Backoff{Base: 5 * time.Second, Max: 15 * time.Minute, Jitter: func() float64 { return 1 }},
	}
	refused := &fault.Fault{Outcome: jobs.OutcomeInput, Message: "refused", Awaits: &fault.Temporary{Err: errors.New("refused")}}
	asked := &fault.Fault{Outcome: jobs.OutcomeInput, Message: "429", Awaits: &fault.Temporary{Err: errors.New("429"), Host: "example.org", After: time.Hour}}
	for _, c := range []struct {
		name   string
		fault  *fault.Fault
		tries  int // before this one
		since  time.Duration
		wait   time.Duration // 0 if the job fails
		reason string
	}{
		{"first", refused, 0, 0, 5 * time.Second, "refused"},
		{"second", refused, 1, 5 * time.Second, 10 * time.Second, "refused; attempt 2 since 2026-11-26T08:00:00Z"},
		{"later", refused, 12, 3 * time.Hour, 15 * time.Minute, "refused; attempt 13 since 2026-11-26T08:00:00Z"},
		{"almost", refused, 30, 6*time.Hour - 1, 15 * time.Minute, "refused; attempt 31 since 2026-11-26T08:00:00Z"},
		{"given up", refused, 30, 6 * time.Hour, 0, ""},
		{"a clock that jumps", refused, 1, 7 * time.Hour, 10 * time.Second, "refused; attempt 2 since 2026-11-26T08:00:00Z"},
		{"a clock that stands still", refused, 99, 0, 0, ""},
		{"asked to wait", asked, 0, 0, time.Hour + 5*time.Minute, "example.org asks to wait 1 h: 429"},
		{
			"asked to wait for less", &fault.Fault{Outcome: jobs.OutcomeInput, Message: "503", Awaits: &fault.Temporary{Host: "example.org", After: time.Second}},
			12, time.Hour, 15 * time.Minute, "example.org asks to wait 1 s: 503; attempt 13 since 2026-11-26T08:00:00Z",
		},
	} {
		p.now = start.Add(c.since)
		rec := ledger.Record{Attempt: 50, Spent: 2, FetchTries: c.tries}
		if c.tries > 0 {
			rec.FetchSince = start
		}
		e := p.ending(&rec, c.fault, "")
		if e.Inputs != ledger.InputsAwaited || e.Outcome != jobs.OutcomeInput || e.Reason != c.reason {
			t.Errorf("%s: %+v", c.name, e)
		}
		switch {
		case c.wait > 0 && (e.State != jobs.Queued || !e.NotBefore.Equal(p.now.Add(c.wait))):
			t.Errorf("%s: %s, not before %s", c.name, e.State, e.NotBefore)
		case c.wait == 0 && (e.State != jobs.Failed || !strings.Contains(e.Error.Message, "attempts since 2026-11-26T08:00:00Z")):
			t.Errorf("%s: %s, %+v", c.name, e.State, e.Error)
		}
	}
}
