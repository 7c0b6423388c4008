package growinglog

import (
	"bytes"
	"errors"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/logs"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/internal/logtext"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/worker/internal/process"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestGrowingLog appends random texts and checks after each that the ledger has what the
// node would store, and that a reader can go on from any position.
func TestGrowingLog(t *testing.T) {
	t.Parallel()
	l := openLedger(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	g := runningLog(t, l)
	var all []byte
	for step := range 60 {
		text := randomText(random, []int{10, 5_000, 70_000, 400_000}[random.IntN(4)])
		_, _ = g.Source.Write(text)
		all = append(all, text...)
		if random.IntN(4) == 0 {
			continue
		}
		g.next = time.Time{}
		grow(t, g)
		log := read(t, g, 0)
		if log.Total != int64(len(all)) {
			t.Fatalf("step %d: %d bytes of %d", step, log.Total, len(all))
		}
		if got, want := logtext.Join(log.Chunks), g.Source.Snapshot(); !bytes.Equal(got, want) {
			t.Fatalf("step %d: %d bytes are not the %d that the node has", step, len(got), len(want))
		}
		kept := 0
		for _, c := range log.Chunks {
			kept += len(c.Data)
		}
		if kept > 3*logtext.EndSize {
			t.Fatalf("step %d: the ledger keeps %d bytes", step, kept)
		}
		from := random.Int64N(int64(len(all) + 10))
		position, text := logtext.From(read(t, g, from).Chunks, from)
		if !bytes.Equal(text, all[position:position+int64(len(text))]) {
			t.Fatalf("step %d: from %d: what is at %d is not what was written there", step, from, position)
		}
		if from < int64(len(all)) && len(text) == 0 || position > from && from < logtext.EndSize && position <= logtext.EndSize {
			t.Fatalf("step %d: from %d of %d: %d bytes at %d", step, from, len(all), len(text), position)
		}
	}
}

// randomText returns n bytes of text, in which most characters have several bytes.
func randomText(random *rand.Rand, n int) []byte {
	out := make([]byte, 0, n+4)
	for len(out) < n {
		out = append(out, []string{"ä", "€", "x", "\n", "𝄞"}[random.IntN(5)]...)
	}
	return out[:n]
}

func openLedger(t *testing.T) *ledger.Ledger {
	t.Helper()
	l, err := ledger.Open(t.Context(), ledger.Config{DSN: "sqlite:" + filepath.Join(t.TempDir(), "ledger.db"), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// runningLog returns the log of a job that runs.
func runningLog(t *testing.T, l *ledger.Ledger) *Log {
	t.Helper()
	owner := nodes.Node{Name: "n", Instance: jobs.NewID()}
	j := jobs.Job{ID: jobs.NewID(), Program: "p"}
	_, accepted := l.Accept(t.Context(), []ledger.Entry{{Job: j, Document: []byte("{}")}})
	claim, err := ledger.Claim{}, errors.Join(l.Nodes.Register(t.Context(), owner), accepted)
	if err == nil {
		claim, err = l.Claim(t.Context(), j.ID, ledger.Owner{Instance: owner.Instance, Node: owner.Name}, "")
	}
	if err != nil {
		t.Fatal(err)
	}
	return &Log{Job: j.ID, Attempt: claim.Record.Attempt, Source: &process.Log{}, Ledger: l.Logs}
}

func grow(t *testing.T, g *Log) {
	t.Helper()
	if err := g.Grow(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// read returns the log from a position on, as the ledger has it.
func read(t *testing.T, g *Log, from int64) logs.Log {
	t.Helper()
	log, _, err := g.Ledger.(*logs.Logs).Read(t.Context(), g.Job, g.Attempt, from)
	if err != nil {
		t.Fatal(err)
	}
	return log
}

// TestGrowingLogIsBounded checks that a large append puts the next one off, and that an
// attempt that has lost its job appends nothing.
func TestGrowingLogIsBounded(t *testing.T) {
	t.Parallel()
	l := openLedger(t)
	g := runningLog(t, l)
	_, _ = g.Source.Write(bytes.Repeat([]byte("x"), 10*logtext.EndSize))
	grow(t, g)
	if least := time.Duration(2*logtext.EndSize/maxRate-1) * time.Second; time.Until(g.next) < least {
		t.Errorf("the next append comes in %v, after at least %v", time.Until(g.next), least)
	}
	before := g.appended
	_, _ = g.Source.Write([]byte("more"))
	grow(t, g)
	if g.appended != before {
		t.Error("it was appended at once")
	}
	_, err := l.Finish(t.Context(), g.Job, g.Attempt, ledger.Ending{State: jobs.Failed, Outcome: jobs.OutcomeFailed})
	if err != nil {
		t.Fatal(err)
	}
	g.next = time.Time{}
	grow(t, g)
	log := read(t, g, 0)
	if !g.stale || log.Total != before {
		t.Errorf("stale %t, %d bytes, want %d", g.stale, log.Total, before)
	}
}
