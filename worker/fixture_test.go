package worker

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/internal/outbound"
	"github.com/runnerbean/runnerbean/internal/published"
	"github.com/runnerbean/runnerbean/internal/queue"
	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
)

// testTimeout bounds every wait of a test.
const testTimeout = 30 * time.Second

const (
	testPrefix = "test"
	testBase   = "http://node.example"
)

// fixture has a real ledger, store and beanstalkd for a worker.
type fixture struct {
	t        testing.TB
	bean     *queuetest.Server
	ledger   *ledger.Ledger
	store    *store.Store
	producer *queue.Producer
	dir      string
	cfg      Config
	change   *notifier
}

// notifier wakes all goroutines that wait for the next change.
type notifier struct {
	mu sync.Mutex
	ch chan struct{}
}

func newNotifier() *notifier { return &notifier{ch: make(chan struct{})} }

func (b *notifier) notify() {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.ch)
	b.ch = make(chan struct{})
}

func (b *notifier) next() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ch
}

func newFixture(t testing.TB, options ...func(*Config)) *fixture {
	t.Helper()
	return openFixture(t, queuetest.Start(t), t.TempDir(), options...)
}

// openFixture returns a fixture on the folder dir, which may be that of an earlier one.
func openFixture(t testing.TB, bean *queuetest.Server, dir string, options ...func(*Config)) *fixture {
	t.Helper()
	r := &fixture{t: t, bean: bean, dir: dir, change: newNotifier()}
	for _, name := range []string{"programs", "scratch", "store"} {
		r.must(os.MkdirAll(filepath.Join(dir, name), 0o755))
	}
	r.openLedger()
	var err error
	r.store, err = store.Open(context.Background(), "file://"+filepath.Join(dir, "store"))
	r.must(err)
	t.Cleanup(func() { r.store.Close() })
	r.producer, err = queue.NewProducer(queue.Config{Addrs: []string{r.bean.Addr}})
	r.must(err)
	producer := r.producer // a test may set another one
	t.Cleanup(func() { producer.Close() })
	r.cfg = r.config()
	for _, option := range options {
		option(&r.cfg)
	}
	r.must(r.ledger.Nodes.Register(context.Background(), nodes.Node{Name: r.cfg.Node, Instance: r.cfg.Instance, Home: dir}))
	return r
}

func (r *fixture) openLedger() {
	var err error
	dsn := "sqlite:" + filepath.Join(r.dir, "ledger.db")
	r.ledger, err = ledger.Open(context.Background(), ledger.Config{DSN: dsn, Logger: testLogger()})
	r.must(err)
	r.t.Cleanup(func() { r.ledger.Close() })
	r.ledger.OnChange(func([]string) { r.change.notify() })
}

func (r *fixture) config() Config {
	return Config{
		Queue: queue.Config{Addrs: []string{r.bean.Addr}}, Prefix: testPrefix,
		Ledger: r.ledger, Events: r.ledger.Events, Nodes: r.ledger.Nodes, Queues: r.ledger.Queues, Store: r.store, Checkpoints: r.ledger.Checkpoints, Packages: r.ledger.Packages, Results: r.ledger.Results, Published: published.New(r.ledger.Results, r.store), LedgerResults: 64 << 10, Node: "n1", Instance: jobs.NewID(), BaseURL: testBase,
		Programs: filepath.Join(r.dir, "programs"), Scratch: filepath.Join(r.dir, "scratch"),
		Slots: 2, Grace: 2 * time.Second, BackoffBase: 10 * time.Millisecond, BackoffMax: 50 * time.Millisecond,
		Outbound: outbound.Config{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}, Logger: testLogger(),
		scanEvery: 100 * time.Millisecond,
	}
}

func testLogger() *slog.Logger {
	if os.Getenv("WORKER_TEST_LOG") != "" {
		return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	return slog.New(slog.DiscardHandler)
}

func (r *fixture) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// install installs a shell script as a program.
func (r *fixture) install(name, script string) {
	r.t.Helper()
	// Renamed into place, so that nothing runs half a file.
	temp := filepath.Join(r.dir, "new-program")
	r.must(os.WriteFile(temp, []byte("#!/bin/sh\n"+script+"\n"), 0o700))
	r.must(os.Rename(temp, filepath.Join(r.cfg.Programs, name)))
}

// installFolder installs a program with a program.json.
func (r *fixture) installFolder(name, script, manifest string) {
	r.t.Helper()
	dir := filepath.Join(r.cfg.Programs, name)
	r.must(os.Mkdir(dir, 0o755))
	r.must(os.WriteFile(filepath.Join(dir, "program.json"), []byte(manifest), 0o600))
	r.must(os.WriteFile(filepath.Join(dir, "run"), []byte("#!/bin/sh\n"+script+"\n"), 0o700))
}

// node is a worker that runs.
type node struct {
	*Worker
	r          *fixture
	stop, kill context.CancelFunc
	ended      chan struct{}
	err        error
}

// start runs a worker until the test ends.
func (r *fixture) start() *node {
	r.t.Helper()
	w, err := New(r.cfg)
	r.must(err)
	return r.run(w)
}

func (r *fixture) run(w *Worker) *node {
	n := &node{Worker: w, r: r, ended: make(chan struct{})}
	var take, work context.Context
	take, n.stop = context.WithCancel(context.Background())
	work, n.kill = context.WithCancel(context.Background())
	go func() {
		defer close(n.ended)
		n.err = w.Run(take, work)
	}()
	r.t.Cleanup(func() { n.kill(); n.wait() })
	return n
}

// wait waits for the end of a worker.
func (n *node) wait() {
	n.r.t.Helper()
	select {
	case <-n.ended:
	case <-time.After(testTimeout):
		n.r.t.Fatal("the worker does not end")
	}
	n.r.must(n.err)
}

// job returns a job document with an inline input.
func job(program string) jobs.Job {
	id := jobs.NewID()
	return jobs.Job{
		ID: id, Program: program, Input: jobs.Input{Data: json.RawMessage(`{"n":1}`)},
		Result: jobs.Target{URL: testBase + "/" + id}, Created: time.Now().UTC().Truncate(time.Second),
	}
}

// submit records a job and puts its message.
func (r *fixture) submit(j jobs.Job) string {
	r.t.Helper()
	r.accept(j)
	r.put(j)
	return j.ID
}

func (r *fixture) accept(j jobs.Job) {
	r.t.Helper()
	document, err := json.Marshal(j)
	r.must(err)
	answers, err := r.ledger.Accept(context.Background(), []ledger.Entry{{Job: j, Document: document}})
	r.must(err)
	r.must(answers[0].Err)
}

func (r *fixture) put(j jobs.Job) {
	r.t.Helper()
	r.putBody(j.Program, `{"id":"`+j.ID+`"}`)
}

// putTo puts a job's message on one of several servers.
func (r *fixture) putTo(addr string, j jobs.Job) {
	r.t.Helper()
	p, err := queue.NewProducer(queue.Config{Addrs: []string{addr}})
	r.must(err)
	defer p.Close()
	_, err = p.Put(context.Background(), queue.Message{
		Tube: queue.RunTube(testPrefix, r.ledger.ID(), j.Program), Body: []byte(`{"id":"` + j.ID + `"}`), Priority: jobs.DefaultPriority, TTR: queue.RunTTR,
	})
	r.must(err)
}

func (r *fixture) putBody(program, body string) {
	r.t.Helper()
	_, err := r.producer.Put(context.Background(), queue.Message{
		Tube: queue.RunTube(testPrefix, r.ledger.ID(), program), Body: []byte(body), Priority: jobs.DefaultPriority, TTR: queue.RunTTR,
	})
	r.must(err)
}

// until waits until ok returns true. It asks again whenever the ledger changes.
func (r *fixture) until(what string, ok func() bool) {
	r.t.Helper()
	deadline := time.After(testTimeout)
	for {
		next := r.change.next()
		if ok() {
			return
		}
		select {
		case <-next:
		case <-time.After(20 * time.Millisecond): // for what does not change the ledger
		case <-deadline:
			r.t.Fatalf("waited in vain until %s", what)
		}
	}
}

func (r *fixture) get(id string) ledger.Record {
	r.t.Helper()
	record, err := r.ledger.Get(context.Background(), id)
	r.must(err)
	return record
}

// await waits for a state and returns the record.
func (r *fixture) await(id string, state jobs.State) ledger.Record {
	r.t.Helper()
	var record ledger.Record
	deadline := time.After(testTimeout)
	for {
		next := r.change.next()
		if record = r.get(id); record.State == state {
			return record
		}
		select {
		case <-next:
		case <-deadline:
			r.t.Fatalf("job is %s after %s, not %s: %+v", record.State, testTimeout, state, record.Error)
		}
	}
}

// inStore has all results published in the store.
func inStore(c *Config) { c.LedgerResults = 0 }

// result reads a published result.
func (r *fixture) result(id string) jobs.Result {
	r.t.Helper()
	var result jobs.Result
	r.must(json.Unmarshal(r.document(id), &result))
	return result
}

// document reads a published result as readers do: from the ledger, or else the store.
func (r *fixture) document(id string) []byte {
	r.t.Helper()
	if document := r.recorded(id); document != nil {
		return document
	}
	return r.object(store.ResultKey(id))
}

// recorded returns the result in the ledger; nil if there is none.
func (r *fixture) recorded(id string) []byte {
	r.t.Helper()
	result, _, err := r.ledger.Results.Get(context.Background(), id)
	r.must(err)
	return result.Document
}

// published reports whether the job has a result, in the ledger or in the store.
func (r *fixture) published(id string) bool {
	r.t.Helper()
	return r.recorded(id) != nil || r.has(store.ResultKey(id))
}

func (r *fixture) object(key string) []byte {
	r.t.Helper()
	object, err := r.store.Open(context.Background(), key)
	r.must(err)
	defer object.Close()
	data, err := io.ReadAll(object)
	r.must(err)
	return data
}

func (r *fixture) attempts(id string) []ledger.Attempt {
	r.t.Helper()
	list, err := r.ledger.Attempts(context.Background(), id)
	r.must(err)
	return list
}

func (r *fixture) outcomes(id string) []jobs.Outcome {
	r.t.Helper()
	var list []jobs.Outcome
	for _, a := range r.attempts(id) {
		list = append(list, a.Outcome)
	}
	return list
}

func (r *fixture) hasEvent(id, kind string) bool {
	r.t.Helper()
	list, err := r.ledger.Events.Newest(context.Background(), id, 100)
	r.must(err)
	for _, e := range list {
		if e.Kind == kind {
			return true
		}
	}
	return false
}

// tubeEmpty waits until no message is left on a program's run tube.
func (r *fixture) tubeEmpty(program string) {
	r.t.Helper()
	r.until("the run tube is empty", func() bool { return r.messages(program) == 0 })
}

// messages returns how many messages are on a program's run tube; -1 if it is not known.
func (r *fixture) messages(program string) (sum int) {
	r.t.Helper()
	stats, err := r.producer.TubeStats(context.Background(), r.bean.Addr, queue.RunTube(testPrefix, r.ledger.ID(), program))
	if err != nil {
		return -1
	}
	for _, state := range []string{"ready", "reserved", "delayed"} {
		n, err := strconv.Atoi(stats["current-jobs-"+state])
		r.must(err)
		sum += n
	}
	return sum
}

// serve runs an HTTP server for inputs.
func serve(t testing.TB, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// hang reports requests and never answers them.
func hang(asked chan<- struct{}) http.HandlerFunc {
	return func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-r.Context().Done()
	}
}

// receive takes one value and fails the test after testTimeout.
func receive[T any](t testing.TB, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(testTimeout):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}
