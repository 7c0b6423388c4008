package progress

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/runnerbean/runnerbean/worker/internal/fault"
)

// FuzzEvent checks the bounds of events.
func FuzzEvent(f *testing.F) {
	for _, seed := range []string{`{"progress":0.4,"message":"week 3"}`, `{"counters":{"n":1200}}`, `{"partial":{"x":[1]}}`, `{"checkpoint":true}`, `{"progress":1e999}`, "[]", "{"} {
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
		if len(e.Counters) > maxCounters || len(e.Partial) > maxPartial || len(e.Partial) > 0 && !json.Valid(e.Partial) {
			t.Errorf("%d counters, partial %s", len(e.Counters), e.Partial)
		}
	})
}

// TestMessage shows a message as a terminal does.
func TestMessage(t *testing.T) {
	t.Parallel()
	if e, err := decodeEvent([]byte(`{"message":"1 %\r2 %\r"}`)); err != nil || *e.Message != "2 %" {
		t.Errorf("the live message is %q, %v", *e.Message, err)
	}
}
