package ledger

import (
	"os"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/internal/ledger/postgres/postgrestest"
	"github.com/runnerbean/runnerbean/jobs"
)

// BenchmarkWriteLock measures for how long a transaction keeps the writers of other nodes
// waiting, on a PostgreSQL that syncs: the costs of docs/scaling.md. One job at a time, so that each
// operation is a transaction.
func BenchmarkWriteLock(b *testing.B) {
	if os.Getenv(postgresEnv) == "" {
		return // the costs of a file are in BenchmarkRun
	}
	s, err := postgrestest.Start("-c", "fsync=on")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(s.Stop)
	url, err := s.NewSchema()
	if err != nil {
		b.Fatal(err)
	}
	l, err := Open(b.Context(), Config{DSN: url})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = l.Close() })
	node := nodes.Node{Name: "n", Instance: "i"}
	if err := l.Nodes.Register(b.Context(), node); err != nil {
		b.Fatal(err)
	}
	t := lockTimes{B: b, l: l}
	const many = 64
	for b.Loop() {
		t.accept(1, "accept-1")
		t.accept(many, "accept-64")
		for _, e := range t.accept(1, "accept-1") {
			t.run(e.Job.ID)
		}
		t.time("beat", func() error { return l.Nodes.Beat(b.Context(), "i", nil, 1, nil) })
	}
	for name, took := range t.took {
		b.ReportMetric(took.Seconds()*1e3/float64(t.count[name]), name+"-ms")
	}
}

type lockTimes struct {
	*testing.B
	l     *Ledger
	took  map[string]time.Duration
	count map[string]int
}

func (t *lockTimes) time(name string, f func() error) {
	if t.took == nil {
		t.took, t.count = map[string]time.Duration{}, map[string]int{}
	}
	began := time.Now()
	if err := f(); err != nil {
		t.Fatal(name, err)
	}
	t.took[name] += time.Since(began)
	t.count[name]++
}

func (t *lockTimes) accept(n int, name string) []Entry {
	list := benchEntries(n)
	t.time(name, func() error { _, err := t.l.Accept(t.Context(), list); return err })
	return list
}

func (t *lockTimes) run(id string) {
	var c Claim
	t.time("sent", func() error {
		return t.l.MarkSent(t.Context(), []Sent{{ID: id, Server: "0123456789abcdef", Message: 1}})
	})
	t.time("claim", func() (err error) {
		c, err = t.l.Claim(t.Context(), id, Owner{Instance: "i", Node: "n"}, "0123456789abcdef")
		return err
	})
	result := make([]byte, 10<<10)
	for i := range result {
		result[i] = ' '
	}
	copy(result, `{"answer":42}`)
	t.time("finish", func() error {
		_, err := t.l.Finish(t.Context(), id, c.Record.Attempt, Ending{Outcome: jobs.OutcomeSucceeded, State: jobs.Succeeded, Inputs: InputsHad, Result: result})
		return err
	})
}
