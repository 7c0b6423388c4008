package ledger

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/internal/ledger/chunks"
	"github.com/runnerbean/runnerbean/internal/ledger/counters"
	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/jobs"
)

func (d *fixture) addCounters(node string, list ...counters.Sum) {
	d.t.Helper()
	d.must(d.Counters.Add(d.t.Context(), node, list))
}

// counted returns the sums of a history, by program, node and counter.
func (d *fixture) counted(program, node string, back time.Duration) map[string]float64 {
	d.t.Helper()
	h, err := d.Counters.History(d.t.Context(), program, node, d.clock.now().Add(-back), d.clock.now())
	d.must(err)
	sums := map[string]float64{}
	for _, l := range h.Lines {
		if len(l.N) != h.Steps {
			d.t.Errorf("%d steps of %d", len(l.N), h.Steps)
		}
		for _, n := range l.N {
			sums[l.Program+" "+l.Node+" "+l.Name] += n
		}
	}
	return sums
}

func (d *fixture) wantCounted(program, node string, back time.Duration, want map[string]float64) {
	d.t.Helper()
	if diff := gocmp.Diff(want, d.counted(program, node, back)); diff != "" {
		d.t.Errorf("%q on %q in %v: %s", program, node, back, diff)
	}
}

// TestCountersOfNodes has several nodes count in one ledger, in all lengths of steps.
func TestCountersOfNodes(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	for i := range 60 {
		at := d.clock.now()
		d.addCounters("n1", counters.Sum{Program: "p", Name: "records", At: at, N: 10}, counters.Sum{Program: "q", Name: "a", At: at, N: 1})
		d.addCounters("n2", counters.Sum{Program: "p", Name: "records", At: at, N: 0.5}, counters.Sum{Program: "p", Name: "records.bad", At: at, N: float64(i % 2)})
		d.clock.advance(5 * time.Second)
	}
	for _, back := range []time.Duration{time.Hour, 6 * time.Hour, 24 * time.Hour, 30 * 24 * time.Hour} {
		d.wantCounted("p", "", back, map[string]float64{"p n1 records": 600, "p n2 records": 30, "p n2 records.bad": 30})
		d.wantCounted("p", "n2", back, map[string]float64{"p n2 records": 30, "p n2 records.bad": 30})
		d.wantCounted("", "n1", back, map[string]float64{"p n1 records": 600, "q n1 a": 60})
		d.wantCounted("x", "", back, map[string]float64{})
	}
	h, err := d.Counters.History(t.Context(), "q", "", d.clock.now().Add(-time.Minute), d.clock.now())
	d.must(err)
	if h.Step != counters.Step || h.Steps != 7 || !slices.Equal(h.Lines[0].N, []float64{2, 2, 2, 2, 2, 2, 0}) {
		t.Errorf("%+v", h)
	}
}

// TestOldCountersAreDeleted moves the clock, so that each length of steps loses its oldest.
func TestOldCountersAreDeleted(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	d.addCounters("n1", counters.Sum{Program: "p", Name: "records", At: d.clock.now(), N: 1})
	rows := func() (n int) {
		d.t.Helper()
		d.must(d.reader.Each(t.Context(), qCountedRows, nil, func(r engine.Row) error { return r.Scan(&n) }))
		return n
	}
	for _, step := range []struct {
		after time.Duration
		rows  int
	}{{time.Hour, 4}, {2 * time.Hour, 3}, {5 * time.Hour, 2}, {80 * time.Hour, 1}, {20 * 24 * time.Hour, 1}, {9 * 24 * time.Hour, 0}} {
		d.clock.advance(step.after)
		d.must(d.Rollup(t.Context()))
		if got := rows(); got != step.rows {
			t.Errorf("after %v more: %d rows, want %d", step.after, got, step.rows)
		}
	}
}

var qCountedRows = engine.NewQuery("SELECT COUNT(*) FROM counted WHERE grain > 0 AND program = 'p'")

// TestHostileCounters: names are text, and sums stay finite.
func TestHostileCounters(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	name := "<script>'; DROP TABLE counted; -- ÿ"
	at := d.clock.now()
	for range 100 {
		d.addCounters("n'1", counters.Sum{Program: "p", Name: name, At: at, N: 1e15}, counters.Sum{Program: "p", Name: name, At: at, N: math.SmallestNonzeroFloat64})
	}
	d.wantCounted("", "n'1", time.Hour, map[string]float64{"p n'1 " + name: 1e17})
	d.addCounters("n1") // nothing
	many := make([]counters.Sum, 1000)
	for i := range many {
		many[i] = counters.Sum{Program: "q", Name: fmt.Sprint(i), At: at, N: 1}
	}
	d.addCounters("n1", many...)
	if got := d.counted("q", "", time.Hour); len(got) != len(many) {
		t.Errorf("%d counters", len(got))
	}
}

// TestCountersOfAttempts are there after the attempt, after a retry and after the success, and go
// with the job.
func TestCountersOfAttempts(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	id := d.add(nil)
	want := map[int]map[string]float64{}
	wantThem := func() {
		t.Helper()
		got, err := d.Counters.OfAttempts(t.Context(), id)
		d.must(err)
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	count := func(attempt int, n float64) {
		t.Helper()
		d.must(d.Report(t.Context(), id, attempt, Live{Counters: map[string]float64{"records": n}}))
		want[attempt] = map[string]float64{"records": n}
		wantThem()
	}
	count(d.run(id), 1)
	count(1, 10)
	d.end(id, 1, jobs.Queued, jobs.OutcomeError)
	wantThem()
	d.run(id) // it reports nothing
	d.end(id, 2, jobs.Queued, jobs.OutcomeLost)
	count(d.run(id), 30)
	d.end(id, 3, jobs.Failed, jobs.OutcomeFailed)
	wantThem()
	acted, err := d.Act(t.Context(), VerbRetry, "me", []Target{{ID: id}})
	if err != nil || acted[0].Err != nil {
		t.Fatal(err, acted)
	}
	wantThem()
	count(d.run(id), 40)
	d.must(d.Report(t.Context(), id, 4, Live{Message: "later"}))
	d.end(id, 4, jobs.Succeeded, jobs.OutcomeSucceeded)
	wantThem()
	acted, err = d.Act(t.Context(), VerbDelete, "me", []Target{{ID: id}})
	if err != nil || acted[0].Err != nil {
		t.Fatal(err, acted)
	}
	clear(want)
	wantThem()
}

// TestChunks: the newest of each attempt are kept, and go with the job.
func TestChunks(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	id := d.add(nil)
	begin := func(attempt int, list ...chunks.Chunk) {
		t.Helper()
		d.must(d.Report(t.Context(), id, attempt, Live{Chunks: list}))
	}
	list := func() (words []string) {
		t.Helper()
		found, err := d.Chunks.List(t.Context(), id, 3)
		d.must(err)
		for _, c := range found {
			words = append(words, fmt.Sprint(c.Attempt, " ", c.ID, " of ", cmp.Or(c.Of, "?")))
		}
		return words
	}
	d.run(id)
	now := d.clock.now()
	begin(1, chunks.Chunk{ID: "a", Of: "40", Number: 1, Began: now}, chunks.Chunk{ID: "b", Of: "40", Number: 2, Began: now}, chunks.Chunk{ID: "a", Of: "41", Number: 3, Began: now})
	if diff := gocmp.Diff([]string{"1 a of 41", "1 b of 40"}, list()); diff != "" {
		t.Error(diff)
	}
	if got := d.record(id).Live.Chunk; got == nil || *got != (jobs.Chunk{ID: "a", Of: "41"}) {
		t.Errorf("it works on %+v", got)
	}
	d.must(d.Report(t.Context(), id, 1, Live{Message: "on it"}))
	if got := d.record(id).Live.Chunk; got == nil || got.ID != "a" {
		t.Errorf("after another report it works on %+v", got)
	}
	d.end(id, 1, jobs.Queued, jobs.OutcomeLost)
	d.run(id)
	if got := d.record(id).Live.Chunk; got != nil {
		t.Errorf("the new attempt works on %+v", got)
	}
	begin(2, chunks.Chunk{ID: "b", Number: 1, Began: now})
	if diff := gocmp.Diff([]string{"2 b of ?", "1 a of 41", "1 b of 40"}, list()); diff != "" {
		t.Error(diff)
	}
	for n := 2; n < 1100; n += 50 {
		var more []chunks.Chunk
		for i := range 50 {
			more = append(more, chunks.Chunk{ID: fmt.Sprint("c", n+i), Number: n + i, Began: now})
		}
		begin(2, more...)
	}
	all, err := d.Chunks.List(t.Context(), id, 5000)
	d.must(err)
	if len(all) != chunks.Keep+2 || all[0].Number != 1101 || all[chunks.Keep-1].Number != 102 {
		t.Errorf("%d chunks, the newest is %+v", len(all), all[0])
	}
	d.end(id, 2, jobs.Succeeded, jobs.OutcomeSucceeded)
	acted, err := d.Act(t.Context(), VerbDelete, "me", []Target{{ID: id}})
	if err != nil || acted[0].Err != nil {
		t.Fatal(err, acted)
	}
	if got := list(); got != nil {
		t.Errorf("after the deletion: %v", got)
	}
}

// BenchmarkAddCounters measures a flush of a node with some programs that count.
func BenchmarkAddCounters(b *testing.B) {
	for _, n := range []int{2, 32} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			m := newMeter(b, false)
			at := time.Now()
			list := make([]counters.Sum, n)
			for i := range list {
				list[i] = counters.Sum{Program: fmt.Sprint("p", i/4), Name: fmt.Sprint("c", i%4), At: at, N: 1}
			}
			for b.Loop() {
				m.must(m.Counters.Add(b.Context(), "n1", list))
			}
		})
	}
}

// BenchmarkCountersHistory reads the last hour of a program that ten nodes run: 14,400 rows.
func BenchmarkCountersHistory(b *testing.B) {
	m := newMeter(b, false)
	now := time.Now().UTC()
	for step := range 360 {
		at := now.Add(-time.Duration(step) * counters.Step)
		for node := range 10 {
			var list []counters.Sum
			for i := range 4 {
				list = append(list, counters.Sum{Program: "p", Name: fmt.Sprint("c", i), At: at, N: 1})
			}
			m.must(m.Counters.Add(b.Context(), fmt.Sprint("n", node), list))
		}
	}
	for b.Loop() {
		h, err := m.Counters.History(b.Context(), "p", "", now.Add(-time.Hour), now)
		m.must(err)
		if len(h.Lines) != 40 {
			b.Fatal(len(h.Lines))
		}
	}
}
