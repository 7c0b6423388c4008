package progress

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/worker/internal/fault"
)

// FuzzEvent checks the bounds of events.
func FuzzEvent(f *testing.F) {
	for _, seed := range []string{`{"progress":0.4,"message":"week 3"}`, `{"counters":{"n":1200}}`, `{"partial":{"x":[1]}}`, `{"checkpoint":true}`, `{"chunk":{"id":"packages-17","of":40}}`, `{"chunk":{"id":1e3,"of":"\u001b"}}`, `{"progress":1e999}`, "[]", "{"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		e, err := decodeEvent(line)
		if err != nil {
			return
		}
		if p := e.Progress; p != nil && !(*p >= 0 && *p <= 1) {
			t.Errorf("progress is %v", *p)
		}
		if m := e.Message; m != nil && (len(*m) > fault.MaxMessage || !utf8.ValidString(*m)) {
			t.Errorf("message is %q", *m)
		}
		if c := e.chunk; c != nil && (c.id == "" || len(c.id) > maxChunkText || len(c.of) > maxChunkText || !utf8.ValidString(c.id+c.of) || strings.ContainsAny(c.id+c.of, "\x00\x1b\r\n\t")) {
			t.Errorf("chunk is %q of %q", c.id, c.of)
		}
		if len(e.Counters) > maxCounters || len(e.Partial) > maxPartial || len(e.Partial) > 0 && !json.Valid(e.Partial) {
			t.Errorf("%d counters, partial %s", len(e.Counters), e.Partial)
		}
	})
}

// TestEventsOfOtherJobs checks that events of stream programs must name their job, and that
// other programs may write any id.
func TestEventsOfOtherJobs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		job, line string
		taken     bool
	}{
		{"a", `{"id":"a","progress":1}`, true},
		{"a", `{"id":"\u0061","progress":1}`, true},
		{"a", `{"id":"b","progress":1}`, false},
		{"a", `{"progress":1}`, false},
		{"a", `{"id":null,"progress":1}`, false},
		{"1", `{"id":1,"progress":1}`, false},
		{"", `{"id":7,"progress":1}`, true},
		{"", `{"progress":1}`, true},
	} {
		var log bytes.Buffer
		var reports []ledger.Live
		r := NewReporter(Config{
			Job: c.job, Start: time.Now(), Log: &log, Series: &Series{},
			Report: func(live ledger.Live) { reports = append(reports, live) }, Guard: func(f func()) { f() },
		})
		r.Event([]byte(c.line))
		r.Stop()
		if taken := len(reports) > 0; taken != c.taken || taken == strings.Contains(log.String(), "1 events are ignored") {
			t.Errorf("job %q, %s: taken is %v, log %q", c.job, c.line, taken, log.String())
		}
	}
}

// TestMessage shows a message as a terminal does.
func TestMessage(t *testing.T) {
	t.Parallel()
	if e, err := decodeEvent([]byte(`{"message":"1 %\r2 %\r"}`)); err != nil || *e.Message != "2 %" {
		t.Errorf("the live message is %q, %v", *e.Message, err)
	}
}
