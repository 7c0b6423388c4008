package counting

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/runnerbean/runnerbean/internal/ledger/counters"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeLedger keeps sums, unless it is away.
type fakeLedger struct {
	sums map[string]float64 // by program, counter and seconds since the epoch
	away bool
	adds int
	got  chan struct{}
}

func (l *fakeLedger) Add(_ context.Context, node string, list []counters.Sum) error {
	l.adds++
	if l.away {
		return errors.New("away")
	}
	for _, s := range list {
		l.sums[fmt.Sprintf("%s %s %s %d", node, s.Program, s.Name, s.At.Unix()-epoch.Unix())] += s.N
	}
	if l.got != nil {
		l.got <- struct{}{}
	}
	return nil
}

// epoch is where the clock of a test starts.
var epoch = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

func newTest(t *testing.T) (*Counting, *fakeLedger, *time.Time) {
	t.Helper()
	now, l := epoch, &fakeLedger{sums: map[string]float64{}}
	return New(Config{Ledger: l, Node: "n", Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return now }}), l, &now
}

func want(t *testing.T, l *fakeLedger, sums map[string]float64) {
	t.Helper()
	if diff := cmp.Diff(sums, l.sums); diff != "" {
		t.Error(diff)
	}
}

// TestIncrements adds up how far counters grow, in the steps in which they do.
func TestIncrements(t *testing.T) {
	t.Parallel()
	c, l, now := newTest(t)
	one, two := c.Attempt("p", false, nil), c.Attempt("p", false, nil)
	one.Take(map[string]float64{"a": 5})
	two.Take(map[string]float64{"a": 100})
	one.Take(map[string]float64{"a": 5, "b": 0.5})
	*now = now.Add(counters.Step)
	one.Take(map[string]float64{"a": 7})
	one.Take(map[string]float64{"a": 2}) // has started again
	one.Take(map[string]float64{"a": -3, "b": -1})
	one.Take(map[string]float64{"a": 1})
	c.Flush(t.Context())
	want(t, l, map[string]float64{"n p a 0": 105, "n p b 0": 0.5, "n p a 10": 2 + 2 + 4})
	c.Flush(t.Context())
	if l.adds != 1 {
		t.Errorf("%d writes", l.adds)
	}
}

// TestRestored does not count what an earlier attempt has counted.
func TestRestored(t *testing.T) {
	t.Parallel()
	c, l, _ := newTest(t)
	a := c.Attempt("p", true, nil)
	a.Take(map[string]float64{"a": 5000})
	a.Take(map[string]float64{"a": 5010})
	a.Take(map[string]float64{"a": 3, "b": 7})
	a.Take(map[string]float64{"b": 8})
	c.Flush(t.Context())
	want(t, l, map[string]float64{"n p a 0": 13, "n p b 0": 1})
}

// TestHostileCounters gives names and values that programs should not write.
func TestHostileCounters(t *testing.T) {
	t.Parallel()
	c, l, _ := newTest(t)
	var log bytes.Buffer
	a := c.Attempt("p", false, &log)
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), 1e308, -1e308, math.MaxFloat64, 1e16} {
		a.Take(map[string]float64{"n": v})
	}
	a.Take(map[string]float64{"n": 0})
	for range 3 {
		a.Take(map[string]float64{"n": 1e15})
		a.Take(map[string]float64{"n": 0})
	}
	a.Take(map[string]float64{"<b>\x1b[31m\x00" + strings.Repeat("x", 100): 1})
	c.Flush(t.Context())
	want(t, l, map[string]float64{"n p n 0": 3e15, "n p <b>" + strings.Repeat("x", 58) + "… 0": 1})

	many := map[string]float64{}
	for i := range 200 {
		many[fmt.Sprint(i)] = 1
	}
	a.Take(many)
	a.Take(many)
	if got := strings.Count(log.String(), "more than 16 counters"); got != 1 {
		t.Errorf("the log has %d lines: %q", got, log.String())
	}
	clear(l.sums)
	c.Flush(t.Context())
	if len(l.sums) != MaxNames-2 {
		t.Errorf("%d counters are added up", len(l.sums))
	}
}

// TestNamesAreForgotten gives the places of counters that do not grow any more to others.
func TestNamesAreForgotten(t *testing.T) {
	t.Parallel()
	c, l, now := newTest(t)
	for i := range MaxNames {
		c.Attempt("p", false, nil).Take(map[string]float64{fmt.Sprint("old", i): 1})
	}
	c.Attempt("q", false, nil).Take(map[string]float64{"of another program": 1})
	var log bytes.Buffer
	c.Attempt("p", false, &log).Take(map[string]float64{"new": 1})
	if log.Len() == 0 {
		t.Error("there was room")
	}
	*now = now.Add(forget + time.Second)
	c.Flush(t.Context())
	clear(l.sums)
	c.Attempt("p", false, nil).Take(map[string]float64{"new": 1})
	c.Flush(t.Context())
	want(t, l, map[string]float64{"n p new 3600": 1})
}

// TestLedgerIsAway keeps what the ledger does not take, and drops the oldest of too much. OnCount
// hears of everything once.
func TestLedgerIsAway(t *testing.T) {
	t.Parallel()
	c, l, now := newTest(t)
	counted := map[string]float64{}
	c.cfg.OnCount = func(program, counter string, n float64) { counted[program+" "+counter] += n }
	a := c.Attempt("p", false, nil)
	l.away = true
	for i := range maxSums + 10 {
		a.Take(map[string]float64{"a": float64(i + 1)})
		*now = now.Add(counters.Step)
		if i%1000 == 0 && c.Flush(t.Context()) {
			t.Fatal("a ledger that is away has taken it")
		}
	}
	l.away = false
	if !c.Flush(t.Context()) || len(l.sums) != maxSums {
		t.Errorf("the ledger got %d sums", len(l.sums))
	}
	if l.sums["n p a 0"] != 0 || l.sums["n p a 100"] != 1 {
		t.Error("not the oldest were dropped")
	}
	if diff := cmp.Diff(map[string]float64{"p a": maxSums + 10}, counted); diff != "" {
		t.Error(diff)
	}
}

// TestRun hands over while it runs, and the rest at its end.
func TestRun(t *testing.T) {
	t.Parallel()
	c, l, _ := newTest(t)
	l.got = make(chan struct{}, 2)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); c.Run(ctx) }()
	a := c.Attempt("p", false, nil)
	a.Take(map[string]float64{"a": 1})
	<-l.got
	a.Take(map[string]float64{"a": 3})
	cancel()
	<-ended
	want(t, l, map[string]float64{"n p a 0": 3})
}

// TestRunThatEndsAtOnce hands over what was counted before.
func TestRunThatEndsAtOnce(t *testing.T) {
	t.Parallel()
	for range 20 { // Run may see the end or the growth first
		c, l, _ := newTest(t)
		c.Attempt("p", false, nil).Take(map[string]float64{"a": 1})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		c.Run(ctx)
		want(t, l, map[string]float64{"n p a 0": 1})
	}
}

// BenchmarkTake measures one event with two counters.
func BenchmarkTake(b *testing.B) {
	l := &fakeLedger{sums: map[string]float64{}}
	c := New(Config{Ledger: l, Node: "n", Logger: slog.New(slog.DiscardHandler)})
	a := c.Attempt("p", false, nil)
	n := 0.0
	values := map[string]float64{}
	for b.Loop() {
		n++
		values["records"], values["records.bad"] = n, n/2
		a.Take(values)
	}
	if len(c.fresh) == 0 {
		b.Error("nothing is counted")
	}
}
