package dispatch

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/jobdoc"
	"github.com/runnerbean/runnerbean/internal/queue"
	"github.com/runnerbean/runnerbean/jobs"
)

// TestRepeatedPanicIsRecordedOnce checks that a panic in each round is recorded once
// and logged each time.
func TestRepeatedPanicIsRecordedOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var log bytes.Buffer
	f.reconciler.events.log = slog.New(slog.NewTextHandler(&log, nil))
	for range 3 {
		f.reconciler.events.guard(t.Context(), "audit", func() { panic("a mine") })
		f.reconciler.events.guard(t.Context(), "resend", func() { panic("a mine") })
	}
	events, err := f.ledger.Events.Newest(t.Context(), "", 100)
	must(t, err)
	if n := strings.Count(log.String(), "a panic was caught"); len(events) != 2 || n != 6 {
		t.Errorf("%d panics are logged, the events are %+v", n, events)
	}
}

// TestADocumentThatPanicsHurtsNoOther checks that a panic on one document does not
// affect the other documents of its batch.
func TestADocumentThatPanicsHurtsNoOther(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	bad, nameless := jobs.NewID(), `{"nameless":true}`
	f.documents.decode = func(document []byte) (jobs.Job, error) {
		if strings.Contains(string(document), bad) || string(document) == nameless {
			panic("a mine")
		}
		return jobdoc.Decode(document)
	}
	inbox := queue.InboxTube("runnerbean")
	var good []string
	for range 20 {
		good = append(good, jobs.NewID())
		f.put(t, inbox, document(good[len(good)-1], "cat"))
		if len(good) == 10 {
			f.put(t, inbox, document(bad, "cat"))
			f.put(t, inbox, nameless)
		}
	}
	f.serve(t)
	for _, id := range good {
		f.state(t, id, jobs.Queued)
	}
	if r := f.state(t, bad, jobs.Failed); r.Error.Class != jobs.OutcomeInternal || !strings.Contains(r.Error.Message, "a defect of the node") {
		t.Errorf("error is %+v", r.Error)
	}
	deadline := time.Now().Add(patience)
	for buried := ""; buried != "1"; {
		stats, err := f.producer.TubeStats(t.Context(), f.server.Addr, inbox)
		if time.Now().After(deadline) {
			t.Fatalf("the document without an id is not buried: %v, %v", stats, err)
		}
		buried = stats["current-jobs-buried"]
	}
	events, err := f.ledger.Events.Newest(t.Context(), "", 100)
	if err != nil {
		t.Fatal(err)
	}
	stacks := 0
	for _, e := range events {
		if e.Kind == "panic" && strings.Contains(e.Message, "event_recorder_test.go:") {
			stacks++
		}
	}
	if stacks != 2 {
		t.Errorf("%d events have a stack: %+v", stacks, events)
	}
}
