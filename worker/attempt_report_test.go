package worker

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/report"
	"github.com/runnerbean/runnerbean/jobs"
)

// TestOnEnded checks that OnEnded gets one report on every attempt, after its end is in
// the ledger.
func TestOnEnded(t *testing.T) {
	t.Parallel()
	reports := make(chan report.Attempt, 100)
	var states sync.Map
	var r *fixture
	r = newFixture(t, func(c *Config) {
		c.Attempts = 2
		c.OnEnded = func(e report.Attempt) {
			states.Store(e.Job, r.get(e.Job).State)
			reports <- e
		}
	})
	r.install("good", "sleep 0.1; echo 1")
	r.install("bad", "exit 1")
	r.install("slow", `echo '{"message":"running"}' >&3; sleep 1000`)
	r.start()

	j := job("good")
	j.Traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	r.submit(j)
	e := receive(t, reports)
	if e.Job != j.ID || e.Program != "good" || e.Attempt != 1 || e.Outcome != jobs.OutcomeSucceeded || e.State != jobs.Succeeded ||
		e.Traceparent != j.Traceparent || len(e.SpanID) != 16 {
		t.Errorf("%+v", e)
	}
	if e.Run < 100*time.Millisecond || e.Fetch <= 0 || e.Publish <= 0 || e.Fetch+e.Run+e.Publish != e.End.Sub(e.Start) || e.Queued.After(e.Start) {
		t.Errorf("%+v", e)
	}
	if state, _ := states.Load(j.ID); state != jobs.Succeeded {
		t.Errorf("it was reported when the job was %v", state)
	}

	bad := r.submit(job("bad"))
	first, second := receive(t, reports), receive(t, reports)
	if first.Attempt != 1 || first.State != jobs.Queued || first.Outcome != jobs.OutcomeError || first.SpanID != "" {
		t.Errorf("%+v", first)
	}
	if second.Job != bad || second.Attempt != 2 || second.State != jobs.Failed || second.Queued.Before(first.End.Add(-time.Second)) {
		t.Errorf("%+v", second)
	}

	slow := r.submit(job("slow"))
	r.awaitMessage(slow)
	r.act(ledger.VerbCancel, slow)
	if e := receive(t, reports); e.Job != slow || e.Outcome != jobs.OutcomeCancelled || e.State != jobs.Cancelled {
		t.Errorf("%+v", e)
	}

	missing := job("good")
	missing.Input = jobs.Input{URL: serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) })}
	r.submit(missing)
	if e := receive(t, reports); e.Outcome != jobs.OutcomeInput || e.Fetch <= 0 || e.Run != 0 || e.SpanID != "" {
		t.Errorf("%+v", e)
	}
	if len(reports) > 0 {
		t.Errorf("reported too often: %+v", <-reports)
	}
}

// syncBuffer is a buffer that several goroutines may write to.
type syncBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *syncBuffer) lines() [][]byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return bytes.Split(bytes.Clone(bytes.TrimSpace(b.Bytes())), []byte("\n"))
}

// TestLogNamesTheJob checks that every log line about an attempt names it.
func TestLogNamesTheJob(t *testing.T) {
	t.Parallel()
	var log syncBuffer
	r := newFixture(t, func(c *Config) { c.Logger = slog.New(slog.NewJSONHandler(&log, nil)) })
	r.install("bad", "exit 65")
	n := r.start()
	id := r.submit(job("bad"))
	r.await(id, jobs.Failed)
	n.stop()
	n.wait()
	found := false
	for _, line := range log.lines() {
		var entry struct {
			Msg, Job, Program, Node string
			Attempt                 int
		}
		r.must(json.Unmarshal(line, &entry))
		if entry.Msg == "attempt ended" {
			found = entry.Job == id && entry.Program == "bad" && entry.Node == "n1" && entry.Attempt == 1
		}
	}
	if !found {
		t.Errorf("%s", bytes.Join(log.lines(), []byte("\n")))
	}
}
