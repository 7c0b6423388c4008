package clientfaults

import (
	"context"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/queue"
	"github.com/runnerbean/runnerbean/internal/retry"
	"github.com/runnerbean/runnerbean/jobs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	callers = 100
	// shortRun is for "make test".
	shortRun = 15 * time.Second
	// think is how long a caller waits between two calls, on average: few enough calls
	// that the node runs the jobs meanwhile.
	think = 2 * time.Second
	// clientTimeout is for how long a client waits for an answer of a server.
	clientTimeout = 2 * time.Second
	token         = "client-faults-0123456789"
)

// TestClientFaults lets a hundred goroutines enqueue through two servers with random
// faults, for RUNNERBEAN_CLIENT_FAULTS (15 s). Every job that was reported as put has its
// result, every one reported as not put has none, and whatever may have been put was in
// flight at a fault. The environment variable SEED repeats the choices of a run.
func TestClientFaults(t *testing.T) {
	seed, length := settings(t)
	t.Logf("seed %d for %v; make client-faults SEED=%d CLIENT_FAULTS=%v chooses the same", seed, length, seed, length)
	random := func(n uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, n)) }
	brokers := []*broker{startBroker(t, random(1)), startBroker(t, random(2))}
	n := startNode(t, brokers[0].server.Addr, brokers[1].server.Addr)
	addrs := []string{brokers[0].addr, brokers[1].addr}
	l := &load{program: "echo", think: think, records: map[string]*record{}}
	for range 4 {
		slices.Reverse(addrs)
		c, err := jobs.New(jobs.Config{Beanstalkd: slices.Clone(addrs), BaseURL: n.url, Token: token, Timeout: clientTimeout})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		l.clients = append(l.clients, c)
	}
	ctx, cancel := context.WithTimeout(t.Context(), length)
	defer cancel()
	var all sync.WaitGroup
	for _, b := range brokers {
		all.Go(func() { b.disturb(ctx) })
	}
	for i := range callers {
		all.Go(func() { l.call(ctx, random(uint64(100+i))) })
	}
	all.Go(func() { progress(ctx, t, l) })
	all.Wait()
	settle(t, n, brokers)
	h := l.history(brokers, results(t, n, l))
	v := h.check()
	t.Log(v)
	for i, b := range brokers {
		t.Logf("server %d: %d jobs in commands, %d in flight at faults, which ended %d connections: %v", i, b.seen.jobs, b.seen.inFlight, b.seen.ends, b.faults)
	}
	if len(l.strange) > 0 {
		t.Errorf("%d errors are neither not put nor maybe put, or both; the first: %v", len(l.strange), l.strange[0])
	}
	if v.put == 0 {
		t.Error("no job was put")
	}
	const shown = 5
	for _, fault := range v.faults[:min(len(v.faults), shown)] {
		t.Error(fault)
	}
	if more := len(v.faults) - shown; more > 0 {
		t.Errorf("and %d more faults", more)
	}
}

func settings(t *testing.T) (seed uint64, length time.Duration) {
	t.Helper()
	seed, length = rand.Uint64()>>32, shortRun
	var err error
	if s := os.Getenv("RUNNERBEAN_CLIENT_FAULTS"); s != "" {
		if length, err = time.ParseDuration(s); err != nil {
			t.Fatal(err)
		}
	}
	if s := os.Getenv("SEED"); s != "" {
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	return seed, length
}

// progress says now and then how far it is.
func progress(ctx context.Context, t *testing.T, l *load) {
	tick := time.NewTicker(30 * time.Second)
	defer tick.Stop()
	for begin := time.Now(); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			var n [wasPut + 1]int
			l.mu.Lock()
			for _, r := range l.records {
				n[r.known()]++
			}
			tries := l.tries
			l.mu.Unlock()
			t.Logf("%v: %d jobs put, %d not put, %d unknown, in %d tries", time.Since(begin).Round(time.Second), n[wasPut], n[notPut], n[unknown], tries)
		}
	}
}

// settle waits until the node has accepted and ended all that the servers hold.
func settle(t *testing.T, n *node, brokers []*broker) {
	t.Helper()
	p, err := queue.NewProducer(queue.Config{Addrs: []string{brokers[0].server.Addr, brokers[1].server.Addr}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	last, since := int64(-1), time.Now()
	for time.Since(since) < patience {
		left, err := unfinished(t.Context(), n, p, brokers)
		if err == nil && left == 0 {
			return
		}
		if err != nil {
			t.Logf("not settled: %v", err)
		} else if left != last {
			last, since = left, time.Now()
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("%d jobs and documents are left, and nothing moves", last)
}

// unfinished counts the documents on the servers and the jobs that have not ended.
func unfinished(ctx context.Context, n *node, p *queue.Producer, brokers []*broker) (int64, error) {
	var left int64
	for _, b := range brokers {
		stats, err := p.TubeStats(ctx, b.server.Addr, queue.InboxTube("runnerbean"))
		if err != nil {
			return 0, err
		}
		for _, state := range []string{"ready", "reserved", "delayed", "buried"} {
			count, _ := strconv.ParseInt(stats["current-jobs-"+state], 10, 64) // a tube that is empty may be gone
			left += count
		}
	}
	// The node gives the same overview for a second: a job that it has accepted meanwhile
	// may be in neither count.
	counted := time.Now().Truncate(time.Millisecond)
	var now api.Overview
	for now.At.Before(counted) {
		if err := n.get(ctx, "/api/v1/overview", &now); err != nil {
			return 0, err
		}
		if !retry.Sleep(ctx, 10*time.Millisecond) {
			return 0, ctx.Err()
		}
	}
	return left + now.Counts[jobs.Waiting] + now.Counts[jobs.Queued] + now.Counts[jobs.Running], nil
}

// results returns the jobs that the node knows. Each must have succeeded with its own
// input as its result.
func results(t *testing.T, n *node, l *load) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	for job, err := range l.clients[0].List(t.Context(), jobs.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		found[job.ID] = true
	}
	var all sync.WaitGroup
	const readers = 8
	ids := make(chan string)
	for range readers {
		all.Go(func() {
			for id := range ids {
				r := l.records[id]
				res, err := l.clients[0].Result(t.Context(), n.url+"/"+id)
				if got := strings.TrimSpace(string(res.Result)); err != nil || res.State != jobs.Succeeded || r != nil && got != strconv.Itoa(r.input) {
					t.Errorf("job %s: %s, result %s, %v", id, res.State, got, err)
				}
			}
		})
	}
	for id := range maps.Keys(found) {
		ids <- id
	}
	close(ids)
	all.Wait()
	return found
}

// history puts together what was reported and what happened.
func (l *load) history(brokers []*broker, results map[string]bool) *history {
	h := &history{records: l.records, puts: map[string][]*put{}, lost: map[*put]bool{}, results: results}
	for _, b := range brokers {
		b.mu.Lock()
		for id, puts := range b.puts {
			h.puts[id] = append(h.puts[id], puts...)
			for _, p := range puts {
				if p.inserted && b.killed[p.life] {
					h.lost[p] = true
				}
				if p.slow() {
					b.disturbed(p)
				}
			}
		}
		h.inFlight += b.seen.inFlight
		h.ends += b.seen.ends
		b.mu.Unlock()
	}
	return h
}
