package worker

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/listing"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/internal/queue"
	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/worker/internal/scheduler"
)

// queued records n jobs, puts their messages and marks them as sent.
func (r *fixture) queued(n int, program string, priority uint32) (ids []string) {
	r.t.Helper()
	const batch = 1000
	for ; n > 0; n -= batch {
		var entries []ledger.Entry
		var messages []queue.Message
		for range min(batch, n) {
			j := job(program)
			j.Priority = &priority
			document, err := json.Marshal(j)
			r.must(err)
			ids, entries = append(ids, j.ID), append(entries, ledger.Entry{Job: j, Document: document})
			messages = append(messages, queue.Message{
				Tube: queue.RunTube(testPrefix, r.ledger.ID(), program), Body: []byte(`{"id":"` + j.ID + `","program":"` + program + `"}`),
				Priority: priority, TTR: queue.RunTTR,
			})
		}
		_, err := r.ledger.Accept(context.Background(), entries)
		r.must(err)
		receipts, err := r.producer.PutAll(context.Background(), messages)
		r.must(err)
		var sent []ledger.Sent
		for i, receipt := range receipts {
			sent = append(sent, ledger.Sent{ID: entries[i].Job.ID, Server: receipt.Server, Message: receipt.ID})
		}
		r.must(r.ledger.MarkSent(context.Background(), sent))
	}
	return ids
}

// weigh installs a program with a weight that writes its name when it starts.
func (r *fixture) weigh(name string, weight int) {
	r.t.Helper()
	path := filepath.Join(r.dir, "order")
	r.installFolder(name, "echo "+name+" >>"+path+"; echo 1", fmt.Sprintf(`{"weight":%d}`, weight))
}

// began returns the names that programs of weigh have written.
func (r *fixture) began() []string {
	data, err := os.ReadFile(filepath.Join(r.dir, "order"))
	r.must(err)
	return strings.Fields(string(data))
}

// TestProgramsTakeTurns checks the order of starts of three programs in one slot. Their
// messages come in blocks, the most urgent ones last.
func TestProgramsTakeTurns(t *testing.T) {
	t.Parallel()
	r := newFixture(t, func(c *Config) { c.Slots = 1 })
	r.weigh("a", 1)
	r.weigh("b", 2)
	r.weigh("c", 1)
	var ids []string
	for _, q := range []struct {
		n        int
		program  string
		priority uint32
	}{{6, "a", 9}, {6, "b", 9}, {2, "c", 9}, {2, "b", 3}, {1, "c", 10}} {
		ids = append(ids, r.queued(q.n, q.program, q.priority)...)
	}
	r.start()
	for _, id := range ids {
		r.await(id, jobs.Succeeded)
	}
	want := "b b | a c b b a c b b a b b a a a | c"
	if diff := cmp.Diff(strings.Fields(strings.ReplaceAll(want, "| ", "")), r.began()); diff != "" {
		t.Error(diff)
	}
	for _, program := range []string{"a", "b", "c"} {
		r.tubeEmpty(program)
	}
}

// TestTurnsPassWhatCannotStart gives one program a long queue, and others messages that start
// nothing: ones that are no messages of the product, of unknown jobs, of another program, of
// less urgent jobs and of jobs for later. Behind each is a job that starts within a few turns.
func TestTurnsPassWhatCannotStart(t *testing.T) {
	t.Parallel()
	r := newFixture(t, func(c *Config) { c.Slots = 1 })
	others := []string{"foreign", "unknown", "astray", "less", "later"}
	for _, name := range append(others, "many") {
		r.weigh(name, 1)
	}
	many := r.queued(200, "many", 9)
	for program, body := range map[string]string{
		"foreign": "hello", "unknown": `{"id":"` + jobs.NewID() + `","program":"unknown"}`, "astray": `{"id":"` + many[0] + `","program":"many"}`,
	} {
		_, err := r.producer.Put(t.Context(), queue.Message{
			Tube: queue.RunTube(testPrefix, r.ledger.ID(), program), Body: []byte(body), Priority: 9, TTR: queue.RunTTR,
		})
		r.must(err)
	}
	r.queued(1, "less", 4000)
	late := job("later")
	late.Priority, late.NotBefore = new(uint32(9)), time.Now().Add(time.Hour)
	r.accept(late)
	var ids []string
	for _, name := range others {
		ids = append(ids, r.queued(1, name, 9)...)
	}
	r.start()
	for _, id := range ids {
		r.await(id, jobs.Succeeded)
	}
	// The program of such a message is passed over until the next look.
	began := r.began()
	for _, name := range others {
		if at := slices.Index(began, name); at < 0 || at > 30 {
			t.Errorf("%s started as number %d", name, at)
		}
	}
	if record := r.get(late.ID); record.State != jobs.Queued {
		t.Errorf("the job for later is %s", record.State)
	}
}

// TestTurnsOfSeveralServers has one slot serve two servers, each with many jobs of one program
// and then a few of another.
func TestTurnsOfSeveralServers(t *testing.T) {
	t.Parallel()
	other := queuetest.Start(t)
	r := newFixture(t, func(c *Config) { c.Slots, c.Queue.Addrs = 1, append(c.Queue.Addrs, other.Addr) })
	var ids []string
	for i, addr := range r.cfg.Queue.Addrs {
		producer, err := queue.NewProducer(queue.Config{Addrs: []string{addr}})
		r.must(err)
		t.Cleanup(func() { producer.Close() })
		r.producer = producer
		many, few := fmt.Sprint("many", i), fmt.Sprint("few", i)
		r.weigh(many, 1)
		r.weigh(few, 1)
		r.queued(200, many, 9)
		ids = append(ids, r.queued(5, few, 9)...)
	}
	r.start()
	for _, id := range ids {
		r.await(id, jobs.Succeeded)
	}
	began := r.began()
	for i := range r.cfg.Queue.Addrs {
		many, few, before := fmt.Sprint("many", i), fmt.Sprint("few", i), 0
		for left := began; slices.Contains(left, few); left = left[1:] {
			if left[0] == many {
				before++
			}
		}
		if before > 10 {
			t.Errorf("server %d: %d jobs started before the few", i, before)
		}
	}
}

// second starts another node on the same ledger, store and programs.
func (r *fixture) second() *node {
	r.t.Helper()
	l, err := ledger.Open(context.Background(), ledger.Config{DSN: "sqlite:" + filepath.Join(r.dir, "ledger.db"), Logger: testLogger()})
	r.must(err)
	r.t.Cleanup(func() { l.Close() })
	c := r.cfg
	c.Ledger, c.Events, c.Nodes, c.Queues = l, l.Events, l.Nodes, l.Queues
	c.Node, c.Instance, c.Scratch = "n2", jobs.NewID(), filepath.Join(r.dir, "scratch2")
	r.must(os.Mkdir(c.Scratch, 0o755))
	r.must(l.Nodes.Register(context.Background(), nodes.Node{Name: c.Node, Instance: c.Instance, Home: c.Scratch}))
	w, err := New(c)
	r.must(err)
	return r.run(w)
}

// starts returns when the jobs of a program started, in any order, and on which nodes.
func (r *fixture) starts(program string) (at []time.Time, nodes map[string]int) {
	r.t.Helper()
	nodes = map[string]int{}
	for _, state := range []jobs.State{jobs.Running, jobs.Succeeded} {
		filter := listing.Filter{Program: program, State: state, Limit: 1000}
		for more := true; more; more = filter.Cursor != "" {
			page, err := r.ledger.List(context.Background(), filter)
			r.must(err)
			for _, job := range page.Jobs {
				at = append(at, job.Started)
				nodes[job.Node]++
			}
			filter.Cursor = page.Next
		}
	}
	return at, nodes
}

// raced reports whether this is built with the race detector, with which the ledger is 40 times
// slower.
func raced() bool {
	info, _ := debug.ReadBuildInfo()
	return info != nil && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// TestFewJobsBesideMany queues 20,000 jobs of one program (1,000 with the race detector) and then,
// while two nodes run them, ten of another. It counts what the ledger says was started before the ten.
func TestFewJobsBesideMany(t *testing.T) {
	t.Parallel()
	few, many := 10, 20_000
	if raced() {
		many = 1000
	}
	// In each node the ten wait for a look at the queues and for what is under way, then
	// for one job a turn. While one node is slow to start the last of the ten, the other one
	// goes on with the many.
	const most = 150
	r := newFixture(t, func(c *Config) { c.Slots = 1 })
	r.install("many", "echo 1")
	r.install("few", "echo 1")
	r.queued(many, "many", jobs.DefaultPriority)
	first, second := r.start(), r.second()
	r.until("both nodes run jobs of the many", func() bool {
		_, nodes := r.starts("many")
		return nodes["n1"] > 10 && nodes["n2"] > 10
	})
	ids := r.queued(few, "few", jobs.DefaultPriority)
	earlier, _ := r.starts("many")
	var last time.Time
	for _, id := range ids {
		if at := r.await(id, jobs.Succeeded).Started; at.After(last) {
			last = at
		}
	}
	first.stop()
	second.stop()
	all, _ := r.starts("many")
	before := -len(earlier)
	for _, at := range all {
		if !at.After(last) {
			before++
		}
	}
	if before > most {
		t.Errorf("%d of the many started after the ten were queued and before the last of the ten", before)
	}
	t.Logf("%d of the many started before the last of the ten", before)
}

// TestRemovedProgramTakesNoTurns leaves a node with one program, after another one had jobs.
func TestRemovedProgramTakesNoTurns(t *testing.T) {
	t.Parallel()
	r := newFixture(t, func(c *Config) { c.Slots = 1 })
	r.install("p", `echo 1`)
	w, err := New(r.cfg)
	r.must(err)
	turns := newTurns(&w.cfg, w.programs, nil)
	s := turns.of(r.bean.Addr)
	s.turns.Looked([]scheduler.Due{{Program: "removed", Weight: 1, Priority: jobs.DefaultPriority}})
	for range 4 { // more than its weight
		s.turns.Take("p", 1).Claimed()
	}
	if !s.turns.Contended("p", 1) {
		t.Fatal("the other program has no turn before")
	}
	turns.look(t.Context(), s, "server")
	if s.turns.Contended("p", 1) {
		t.Error("a program that was removed still has a turn")
	}
}
