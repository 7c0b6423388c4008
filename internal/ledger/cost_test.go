package ledger

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/internal/ledger/sqlite"
	"github.com/runnerbean/runnerbean/jobs"
)

// cost is what steps of jobs cost the ledger.
type cost struct {
	operations, statements, transactions, syncs int64
	pages                                       int64 // written to the log
	allocs, bytes                               uint64
	cpu                                         time.Duration
}

// meter measures what a ledger does.
type meter struct {
	*Ledger
	t          testing.TB
	wal        string
	operations atomic.Int64
	syncs      atomic.Int64
	statements atomic.Int64
	begins     atomic.Int64
}

// frameSize is the size of a page in the log with its header, in bytes.
const frameSize = 4096 + 24

// newMeter opens a ledger. With keepLog its log is never emptied, so that the length is
// what was written.
func newMeter(t testing.TB, keepLog bool) *meter {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ledger.db")
	m := &meter{t: t, wal: path + "-wal"}
	c := Config{DSN: "sqlite:" + path, BaseURL: "https://results.example/", Observe: func(string, time.Duration, error) { m.operations.Add(1) }}
	m.Ledger = newLedger(c)
	m.must(m.open(context.Background(), c))
	w := m.db.Writer.(*sqlite.Writer)
	w.Trace = m.see
	sync := w.SyncLog
	w.SyncLog = func(f *os.File) error {
		m.syncs.Add(1)
		return sync(f)
	}
	m.queue.start()
	t.Cleanup(func() { _ = m.Close() })
	m.must(m.Nodes.Register(t.Context(), nodes.Node{Name: "n1", Instance: "i1", Programs: []nodes.Program{{Name: "p"}}}))
	if keepLog {
		conn, err := sqlDB(m.Ledger).Conn(context.Background())
		m.must(err)
		t.Cleanup(func() { _ = conn.Close() })
		_, err = conn.ExecContext(context.Background(), "BEGIN DEFERRED; SELECT COUNT(*) FROM jobs")
		m.must(err)
	}
	return m
}

func (m *meter) see(q *engine.Query) {
	if strings.HasPrefix(q.Text, "PRAGMA") {
		return // of checkpoints
	}
	m.statements.Add(1)
	if q.Text == "BEGIN IMMEDIATE" {
		m.begins.Add(1)
	}
}

func (m *meter) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

// now returns what the ledger has cost so far.
func (m *meter) now() cost {
	// An answer may come before the sync of its operation. This one comes after it.
	m.must(m.do(context.Background(), &op{run: func(*txn) error { return nil }}))
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	c := cost{
		operations: m.operations.Load(), statements: m.statements.Load(), transactions: m.begins.Load(), syncs: m.syncs.Load(),
		allocs: mem.Mallocs, bytes: mem.TotalAlloc, cpu: cpu(),
	}
	if i, err := os.Stat(m.wal); err == nil {
		c.pages = i.Size() / frameSize
	}
	return c
}

// of returns what f costs.
func (m *meter) of(f func()) cost {
	from := m.now()
	f()
	to := m.now()
	return cost{
		operations: to.operations - from.operations - 1, statements: to.statements - from.statements - 3,
		transactions: to.transactions - from.transactions - 1, syncs: to.syncs - from.syncs, pages: to.pages - from.pages,
		allocs: to.allocs - from.allocs, bytes: to.bytes - from.bytes, cpu: to.cpu - from.cpu,
	}
}

// together runs operations in one transaction, after one that holds the writer until all
// of them wait.
func (m *meter) together(n int, f func(i int) error) {
	held, release := make(chan struct{}), make(chan struct{})
	m.queue.ops <- &op{done: make(chan struct{}), soft: true, run: func(*txn) error {
		close(held)
		<-release
		return nil
	}}
	<-held
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if err := f(i); err != nil {
				m.t.Error(err)
			}
		})
	}
	for len(m.queue.ops) < n {
		runtime.Gosched()
	}
	close(release)
	wg.Wait()
}

// lives takes batches of jobs to their ends. Those of a batch share their transactions. It
// returns what each step cost all of them.
func (m *meter) lives(batches, size int) map[string]cost {
	l, ctx, entries := map[string]cost{}, context.Background(), make([][]Entry, batches)
	for i := range entries {
		entries[i] = lifeEntries(size)
	}
	l["accept"] = m.of(func() {
		for _, list := range entries {
			_, err := m.Accept(ctx, list)
			m.must(err)
		}
	})
	l["mark-sent"] = m.of(func() {
		for _, list := range entries {
			sent := make([]Sent, len(list))
			for i := range list {
				sent[i] = Sent{ID: list[i].Job.ID, Server: "0123456789abcdef", Message: uint64(i)}
			}
			m.must(m.MarkSent(ctx, sent))
		}
	})
	l["claim"] = m.ofEach(entries, func(id string) error {
		c, err := m.Claim(ctx, id, Owner{Instance: "i1", Node: "n1"}, "0123456789abcdef")
		if err == nil && !c.OK {
			err = fmt.Errorf("refused: %+v", c)
		}
		return err
	})
	l["finish"] = m.ofEach(entries, func(id string) error {
		_, err := m.Finish(ctx, id, 1, Ending{Outcome: jobs.OutcomeSucceeded, State: jobs.Succeeded, Inputs: InputsHad, Result: lifeResult})
		return err
	})
	return l
}

// ofEach returns what f costs for all jobs, without the transactions that hold the writer.
func (m *meter) ofEach(entries [][]Entry, f func(id string) error) cost {
	n := int64(len(entries))
	c := m.of(func() {
		for _, list := range entries {
			m.together(len(list), func(i int) error { return f(list[i].Job.ID) })
		}
	})
	c.statements, c.transactions = c.statements-3*n, c.transactions-n
	return c
}

var lifeResult = bytes.Repeat([]byte(`{"name":"value"}`), 640)

// lifeEntries makes documents with an input of 10 KiB, as a short job has.
func lifeEntries(n int) []Entry {
	list := make([]Entry, n)
	for i := range list {
		id := jobs.NewID()
		list[i].Job = jobs.Job{ID: id, Program: "p", Created: time.Now(), Result: jobs.Target{URL: "https://results.example/" + id}}
		list[i].Document = fmt.Appendf(nil, `{"id":%q,"program":"p","input":{"data":{"text":%q}},"result":{"url":"https://results.example/%s"},"created":"2026-11-22T06:16:00Z"}`,
			id, bytes.Repeat([]byte("x"), 10<<10), id)
	}
	return list
}

// costs are what a job may cost at most, with others in its transactions and alone. Raise
// them only if the change is worth it, and change docs/performance.md with them.
var costs = []struct {
	size int // jobs in a transaction
	step string
	// statements and pages that are written to the log, per job
	statements, pages float64
}{
	{1, "accept", 7, 10.5},
	{1, "mark-sent", 4, 2.5},
	{1, "claim", 5, 5.5},
	{1, "finish", 7, 12.5},
	{8, "accept", 2.625, 4.6},
	{8, "mark-sent", 1.375, 0.7},
	{8, "claim", 1.5, 0.95},
	{8, "finish", 2.625, 4.6},
}

func TestCostOfAJob(t *testing.T) {
	t.Parallel()
	const batches = 16
	for _, size := range []int{1, 8} {
		m := newMeter(t, true)
		m.lives(2, size) // statements are prepared
		l, n := m.lives(batches, size), float64(batches*size)
		for _, limit := range costs {
			if limit.size != size {
				continue
			}
			c := l[limit.step]
			statements, pages := float64(c.statements)/n, float64(c.pages)/n
			t.Logf("%d %s: %.3f statements, %.2f pages, %.0f allocations of %.0f bytes, %.2f syncs", size, limit.step, statements, pages,
				float64(c.allocs)/n, float64(c.bytes)/n, float64(c.syncs)/n)
			if statements > limit.statements || pages > limit.pages {
				t.Errorf("%s of %d jobs: a job costs %.3f statements and %.2f pages, more than %.3f and %.2f",
					limit.step, size, statements, pages, limit.statements, limit.pages)
			}
			if c.transactions != batches || c.syncs > batches {
				t.Errorf("%s of %d jobs: %d transactions and %d syncs, want %d and no more", limit.step, size, c.transactions, c.syncs, batches)
			}
		}
	}
}

// BenchmarkJob measures what a job with an input and a result of 10 KiB costs the ledger.
func BenchmarkJob(b *testing.B) {
	for _, size := range []int{1, 8} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			m := newMeter(b, false)
			m.lives(2, size)
			b.ResetTimer()
			sum, n := time.Duration(0), float64(b.N*size)
			for step, c := range m.lives(b.N, size) {
				b.ReportMetric(c.cpu.Seconds()*1e6/n, step+"-cpu-µs/job")
				b.ReportMetric(float64(c.allocs)/n, step+"-allocs/job")
				sum += c.cpu
			}
			b.ReportMetric(sum.Seconds()*1e6/n, "cpu-µs/job")
		})
	}
}
