package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/queue"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/worker/internal/publish"
)

const benchSlots = 4

// timedLedger counts the attempts that have ended and measures the time of claims, ends
// and results.
type timedLedger struct {
	Ledger
	publish.Store
	left                  sync.WaitGroup
	claims, ends, results atomic.Int64 // nanoseconds
}

func (f *timedLedger) Claim(ctx context.Context, id string, o ledger.Owner, sum string) (ledger.Claim, error) {
	defer func(start time.Time) { f.claims.Add(int64(time.Since(start))) }(time.Now())
	return f.Ledger.Claim(ctx, id, o, sum)
}

func (f *timedLedger) Create(ctx context.Context, key string, data []byte) error {
	defer func(start time.Time) { f.results.Add(int64(time.Since(start))) }(time.Now())
	return f.Store.Create(ctx, key, data)
}

func (f *timedLedger) Finish(ctx context.Context, id string, attempt int, e ledger.Ending) ([]ledger.Record, error) {
	start := time.Now()
	released, err := f.Ledger.Finish(ctx, id, attempt, e)
	f.ends.Add(int64(time.Since(start)))
	if err == nil && e.State.Final() {
		f.left.Done()
	}
	return released, err
}

// BenchmarkCat runs jobs with inputs of 10 KiB in four slots. It compares the time with
// that of starting the same program as often and as concurrently without a worker.
func BenchmarkCat(b *testing.B) {
	r := newFixture(b, func(c *Config) { c.Slots = benchSlots })
	r.installCopy("cat", "/bin/cat")
	count := &timedLedger{Ledger: r.ledger, Store: r.store}
	r.cfg.Ledger, r.cfg.Store = count, count
	input := []byte(`"` + string(bytes.Repeat([]byte("x"), 10<<10)) + `"`)
	r.queueMany(b.N, "cat", input)
	count.left.Add(b.N)

	// Half of them before and half after: the load of the machine may change.
	path := filepath.Join(r.cfg.Programs, "cat")
	bare := bareSpawn(b, b.N/2, path, input)
	b.ResetTimer()
	n := r.start()
	count.left.Wait()
	whole := b.Elapsed()
	b.StopTimer()
	n.stop()
	n.wait()
	bare += bareSpawn(b, b.N-b.N/2, path, input)
	for name, n := range map[string]*atomic.Int64{"claim": &count.claims, "publish": &count.results, "finish": &count.ends} {
		b.ReportMetric(float64(n.Load())/float64(b.N)/1e3, "µs/"+name)
	}
	b.ReportMetric(float64(b.N)/whole.Seconds(), "jobs/s")
	b.ReportMetric(float64(b.N)/bare.Seconds(), "spawns/s")
	b.ReportMetric(bare.Seconds()/whole.Seconds(), "ratio")
}

func (r *fixture) installCopy(name, path string) {
	r.t.Helper()
	data, err := os.ReadFile(path)
	r.must(err)
	r.must(os.WriteFile(filepath.Join(r.cfg.Programs, name), data, 0o700))
}

// queueMany records n jobs and puts their messages.
func (r *fixture) queueMany(n int, program string, input []byte) {
	r.t.Helper()
	const batch = 500
	for done := 0; done < n; done += batch {
		var entries []ledger.Entry
		var messages []queue.Message
		for range min(batch, n-done) {
			j := job(program)
			j.Input.Data = input
			document, err := json.Marshal(j)
			r.must(err)
			entries = append(entries, ledger.Entry{Job: j, Document: document})
			messages = append(messages, queue.Message{
				Tube: queue.RunTube(testPrefix, r.ledger.ID(), program), Body: []byte(`{"id":"` + j.ID + `"}`),
				Priority: jobs.DefaultPriority, TTR: queue.RunTTR,
			})
		}
		_, err := r.ledger.Accept(context.Background(), entries)
		r.must(err)
		_, err = r.producer.PutAll(context.Background(), messages)
		r.must(err)
	}
}

// bareSpawn runs the program n times, benchSlots at the same time.
func bareSpawn(b *testing.B, n int, path string, input []byte) time.Duration {
	b.Helper()
	work := make(chan struct{})
	start := time.Now()
	var group sync.WaitGroup
	for range benchSlots {
		group.Go(func() {
			for range work {
				cmd := exec.Command(path)
				cmd.Stdin = bytes.NewReader(input)
				if out, err := cmd.Output(); err != nil || len(out) != len(input) {
					b.Errorf("cat: %v, %d bytes", err, len(out))
				}
			}
		})
	}
	for range n {
		work <- struct{}{}
	}
	close(work)
	group.Wait()
	return time.Since(start)
}

// BenchmarkTake measures what taking turns adds to a job: the time of turns.take. alone is one
// program with jobs; in the others two have jobs, and each second message is swapped.
func BenchmarkTake(b *testing.B) {
	for _, c := range []struct {
		name            string
		busy, installed int
	}{{"alone", 1, 20}, {"two", 2, 2}, {"two of 20", 2, 20}, {"two of 200", 2, 200}} {
		b.Run(c.name, func(b *testing.B) { benchTake(b, c.busy, c.installed) })
	}
}

func benchTake(b *testing.B, busy, installed int) {
	r := newFixture(b)
	for i := range installed {
		r.install(fmt.Sprintf("p%03d", i), "echo 1")
	}
	for i := range busy {
		r.queued(2000, fmt.Sprintf("p%03d", i), jobs.DefaultPriority)
	}
	w, err := New(r.cfg)
	r.must(err)
	source, err := openSource(r.cfg.Queue)
	r.must(err)
	defer source.close()
	ctx, tubes := context.Background(), w.programs.Current().Tubes
	ack := &messageAck{ledger: r.ledger, logger: testLogger()}
	turns := newTurns(&w.cfg, w.programs, ack)
	var taking time.Duration
	var first time.Duration
	for b.Loop() {
		start := time.Now()
		message, err := source.reserve(ctx, tubes)
		r.must(err)
		first += time.Since(start)
		m, err := readRunMessage(message.Body)
		r.must(err)
		p := w.programs.Current().Programs[m.Program]
		start = time.Now()
		turn := turns.take(ctx, &message, &m, &p)
		taking += time.Since(start)
		turn.Claimed()
		ack.release(ctx, message, jobs.DefaultPriority, 0)
	}
	b.ReportMetric(float64(taking.Nanoseconds())/float64(b.N)/1e3, "µs/take")
	b.ReportMetric(float64(first.Nanoseconds())/float64(b.N)/1e3, "µs/reserve")
}
