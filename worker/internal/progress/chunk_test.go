package progress

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/internal/ledger"
)

func TestChunkEvents(t *testing.T) {
	t.Parallel()
	const wrongID, wrongOf = "chunk/id is not", "chunk/of is not"
	for _, c := range []struct{ line, id, of, fault string }{
		{`{"chunk":{"id":"packages-17","of":40}}`, "packages-17", "40", ""},
		{`{"chunk":{"id":17}}`, "17", "", ""},
		{`{"chunk":{"id":0,"of":0,"later":1}}`, "0", "0", ""},
		{`{"chunk":{"id":1e3,"of":"all packages"}}`, "1000", "all packages", ""},
		{`{"chunk":{"id":"a","of":null}}`, "a", "", ""},
		{`{"chunk":{"id":"a","of":""}}`, "a", "", ""},
		{`{"chunk":{"id":"\u001b[31m<b>\r\n\tü\u0000"}}`, "<b>  ü", "", ""},
		{`{"chunk":{"id":"` + strings.Repeat("x", 128) + `"}}`, strings.Repeat("x", 128), "", ""},
		{`{"chunk":{"id":"` + strings.Repeat("x", 129) + `"}}`, "", "", wrongID},
		{`{"chunk":{"id":"\u001b[31m"}}`, "", "", wrongID},
		{`{"chunk":{"id":""}}`, "", "", wrongID},
		{`{"chunk":{"id":-1}}`, "", "", wrongID},
		{`{"chunk":{"id":1.5}}`, "", "", wrongID},
		{`{"chunk":{"id":1e300}}`, "", "", wrongID},
		{`{"chunk":{"id":1e999}}`, "", "", wrongID},
		{`{"chunk":{"id":true}}`, "", "", wrongID},
		{`{"chunk":{"id":null}}`, "", "", wrongID},
		{`{"chunk":{"id":["a"]}}`, "", "", wrongID},
		{`{"chunk":{"of":40}}`, "", "", wrongID},
		{`{"chunk":{"id":1,"of":-1}}`, "", "", wrongOf},
		{`{"chunk":{"id":1,"of":{}}}`, "", "", wrongOf},
		{`{"chunk":{"id":1,"of":"` + strings.Repeat("x", 129) + `"}}`, "", "", wrongOf},
		{`{"chunk":{"id":1,"id":2}}`, "", "", "duplicate"},
		{`{"chunk":"packages-17"}`, "", "", "its chunk is not an object"},
		{`{"chunk":17}`, "", "", "its chunk is not an object"},
		{`{"chunk":null}`, "", "", "its chunk is not an object"},
		{`{"chunk":[]}`, "", "", "its chunk is not an object"},
	} {
		e, err := decodeEvent([]byte(c.line))
		switch {
		case c.fault != "" && (err == nil || !strings.Contains(err.Error(), c.fault)):
			t.Errorf("%s: %v", c.line, err)
		case c.fault == "" && (err != nil || *e.chunk != chunk{c.id, c.of}):
			t.Errorf("%s: %+v, %v", c.line, e.chunk, err)
		}
	}
}

// TestChunksAreReported has a program begin chunks at full speed: each report has the newest, and
// what it works on already is not begun again.
func TestChunksAreReported(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	var reports []ledger.Live
	first, more := make(chan struct{}), make(chan struct{})
	r := NewReporter(Config{
		Start: time.Now(), Log: &log, Series: &Series{}, Guard: func(f func()) { f() },
		Report: func(live ledger.Live) {
			if reports = append(reports, live); len(reports) == 1 {
				close(first)
				<-more
			}
		},
	})
	r.Event([]byte(`{"chunk":{"id":1,"of":40},"progress":0.1}`))
	<-first
	r.Event([]byte(`{"chunk":{"id":1,"of":40}}`))
	r.Event([]byte(`{"chunk":{"id":[]}}`))
	for i := range 100 {
		r.Event(fmt.Appendf(nil, `{"chunk":{"id":%d,"of":40}}`, i+2))
	}
	close(more)
	r.Event([]byte(`{"message":"later"}`))
	r.Stop()
	var got []string
	for _, live := range reports {
		if len(live.Chunks) > maxBegun {
			t.Errorf("a report has %d chunks", len(live.Chunks))
		}
		for _, c := range live.Chunks {
			got = append(got, fmt.Sprint(c.Number, " ", c.ID, " of ", c.Of))
		}
	}
	if got[0] != "1 1 of 40" || got[1] != "38 38 of 40" || got[len(got)-1] != "101 101 of 40" || len(got) != 1+maxBegun {
		t.Errorf("chunks %v", got)
	}
	if !strings.Contains(log.String(), "an event line is ignored: chunk/id is not") {
		t.Errorf("log %q", log.String())
	}
}

// TestCountGetsEachEvent: increments are found even if reports merge the events.
func TestCountGetsEachEvent(t *testing.T) {
	t.Parallel()
	var got []float64
	r := NewReporter(Config{
		Start: time.Now(), Log: &bytes.Buffer{}, Series: &Series{}, Guard: func(f func()) { f() }, Report: func(ledger.Live) {},
		Count: func(m map[string]float64) { got = append(got, m["records"]) },
	})
	for _, line := range []string{`{"counters":{"records":1}}`, `{"progress":1}`, `{"counters":{}}`, `{"counters":{"records":1e999}}`, `{"counters":{"records":2}}`, `{"counters":{"records":1}}`} {
		r.Event([]byte(line))
	}
	r.Stop()
	if diff := cmp.Diff([]float64{1, 2, 1}, got); diff != "" {
		t.Error(diff)
	}
}

// BenchmarkEvent measures one event with counters and a chunk.
func BenchmarkEvent(b *testing.B) {
	for name, line := range map[string]string{
		"counters": `{"counters":{"records":%d,"records.bad":4}}`, "chunk": `{"chunk":{"id":"packages-%d","of":40}}`,
	} {
		b.Run(name, func(b *testing.B) {
			r := NewReporter(Config{
				Start: time.Now(), Log: &bytes.Buffer{}, Series: &Series{}, Guard: func(f func()) { f() }, Report: func(ledger.Live) {},
				Count: func(map[string]float64) {},
			})
			n := 0
			for b.Loop() {
				n++
				r.Event(fmt.Appendf(nil, line, n))
			}
			r.Stop()
		})
	}
}
