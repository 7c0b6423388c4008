package batch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/runnerbean/runnerbean/internal/dispatch"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/batches"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/internal/ledger/postgres/postgrestest"
	"github.com/runnerbean/runnerbean/internal/ledger/retention"
	"github.com/runnerbean/runnerbean/internal/queue"
	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
)

// postgresEnv has the tests run on PostgreSQL.
const postgresEnv = "LEDGER_TEST_POSTGRES"

const patience = time.Minute

var server *postgrestest.Server

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	if os.Getenv(postgresEnv) != "" {
		var err error
		if server, err = postgrestest.Start(); err != nil {
			panic(err)
		}
	}
	code := m.Run()
	if server != nil {
		server.Stop()
	}
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// fixture is a ledger that knows the programs render and film, a dispatcher, and a worker that
// ends frames as outcome says.
type fixture struct {
	t          *testing.T
	ledger     *ledger.Ledger
	dispatcher *dispatch.Dispatcher
	folder     string // of the store
	store      *store.Store
	changed    chan struct{}

	mu      sync.Mutex
	outcome func(ledger.Record) jobs.State // Queued leaves it running; guarded by mu
	order   []string                       // ids in the order of their ends; guarded by mu
	most    int                            // frames that were queued or ran at once; guarded by mu
	quota   int                            // how many frames are to run; guarded by mu
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	dsn := "sqlite:" + filepath.Join(t.TempDir(), "ledger.db")
	if server != nil {
		var err error
		if dsn, err = server.NewSchema(); err != nil {
			t.Fatal(err)
		}
	}
	l, err := ledger.Open(t.Context(), ledger.Config{DSN: dsn, BaseURL: "http://r.example"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	node := nodes.Node{Name: "worker", Instance: "worker", Slots: 1}
	for _, name := range []string{"render", "film"} {
		node.Programs = append(node.Programs, nodes.Program{Name: name, SHA256: strings.Repeat("0", 64)})
	}
	if err := l.Nodes.Register(t.Context(), node); err != nil {
		t.Fatal(err)
	}
	d, err := dispatch.New(dispatch.Config{
		Queue: queue.Config{Addrs: []string{queuetest.Start(t).Addr}}, Node: "n1", Ledger: l, Interval: -1, Logger: quiet(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	folder := t.TempDir()
	s, err := store.Open(t.Context(), "file://"+folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	f := &fixture{t: t, ledger: l, dispatcher: d, folder: folder, store: s, changed: make(chan struct{}, 1), quota: math.MaxInt, outcome: func(ledger.Record) jobs.State { return jobs.Succeeded }}
	t.Cleanup(l.OnChange(func([]string) {
		select {
		case f.changed <- struct{}{}:
		default:
		}
	}))
	return f
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// node runs batches until stop is called, or the test ends.
func (f *fixture) node(name string) (stop func()) {
	f.t.Helper()
	instance := jobs.NewID()
	if err := f.ledger.Nodes.Register(f.t.Context(), nodes.Node{Name: name, Instance: instance, Slots: 1}); err != nil {
		f.t.Fatal(err)
	}
	r := New(Config{Ledger: f.ledger, Dispatcher: f.dispatcher, Store: f.store, Node: name, Instance: instance, Interval: 10 * time.Millisecond, Logger: quiet()})
	r.Hold("")
	ctx, cancel := context.WithCancel(f.t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = r.Run(ctx) }()
	stop = func() { cancel(); <-ended }
	f.t.Cleanup(stop)
	return stop
}

// submit submits a batch and returns its id.
func (f *fixture) submit(b jobs.Batch) string {
	f.t.Helper()
	document, err := b.Document()
	if err != nil {
		f.t.Fatal(err)
	}
	document.Result.URL = "http://r.example/results/" + document.ID
	text, err := json.Marshal(document)
	if err != nil {
		f.t.Fatal(err)
	}
	accepted, err := f.dispatcher.Accept(f.t.Context(), [][]byte{text}, "maria")
	if err != nil || accepted[0].Err != nil {
		f.t.Fatal(err, accepted)
	}
	return document.ID
}

// work claims and ends frames of a batch until the batch has ended, and returns its record.
func (f *fixture) work(id string) ledger.Record {
	f.t.Helper()
	return f.until(id, func(r ledger.Record) bool { return r.State.Final() })
}

// until works until the record of the batch meets a condition.
func (f *fixture) until(id string, is func(ledger.Record) bool) ledger.Record {
	f.t.Helper()
	deadline := time.After(patience)
	for {
		f.workOnce(id)
		r, err := f.ledger.Get(f.t.Context(), id)
		if err != nil {
			f.t.Fatal(err)
		}
		if is(r) {
			return r
		}
		select {
		case <-f.changed:
		case <-deadline:
			f.t.Fatalf("the batch is %s at %s, attempt %d: %s %v; the frames are %v", r.State, r.Node, r.Attempt, r.Live.Message, r.Error, f.states(id))
		}
	}
}

func (f *fixture) workOnce(id string) {
	f.t.Helper()
	ctx := f.t.Context()
	open, err := f.ledger.Batches.Open(ctx, id, everyFrame, 10_000)
	if err != nil {
		f.t.Fatal(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.most = max(f.most, len(open))
	for _, frame := range open {
		if frame.State != jobs.Queued || len(f.order) >= f.quota {
			continue
		}
		claim, err := f.ledger.Claim(ctx, frame.Job, ledger.Owner{Instance: "worker", Node: "worker"}, "")
		if err != nil {
			f.t.Fatal(err)
		}
		if !claim.OK {
			continue
		}
		e := ledger.Ending{State: f.outcome(claim.Record), ExitCode: -1}
		switch e.State {
		case jobs.Queued:
			continue
		case jobs.Succeeded:
			e.Outcome, e.Result = jobs.OutcomeSucceeded, []byte("{}")
		default:
			e.Outcome = jobs.OutcomeFailed
		}
		if _, err := f.ledger.Finish(ctx, frame.Job, claim.Record.Attempt, e); err != nil {
			f.t.Fatal(err)
		}
		f.order = append(f.order, frame.Job)
	}
}

// say sets how frames end from now on.
func (f *fixture) say(outcome func(number string) jobs.State) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.outcome = func(r ledger.Record) jobs.State { return outcome(r.Labels["frame"]) }
}

func (f *fixture) summary(id string) Summary {
	f.t.Helper()
	r, err := f.ledger.Get(f.t.Context(), id)
	if err != nil {
		f.t.Fatal(err)
	}
	var s Summary
	if r.State != jobs.Succeeded {
		err = json.Unmarshal(r.Live.Partial, &s)
	} else {
		stored, found, readErr := f.ledger.Results.Get(f.t.Context(), id)
		var result jobs.Result
		if err = readErr; err == nil && found {
			err = json.Unmarshal(stored.Document, &result)
		}
		if err == nil {
			err = result.Decode(&s)
		}
	}
	if err != nil {
		f.t.Fatal(err)
	}
	return s
}

func (f *fixture) states(id string) map[jobs.State]int {
	f.t.Helper()
	states, err := f.ledger.Batches.States(f.t.Context(), id)
	if err != nil {
		f.t.Fatal(err)
	}
	return states
}

func render(frames []jobs.Frame) jobs.Batch {
	return jobs.Batch{Frames: frames, Job: jobs.Job{Program: "render", Labels: map[string]string{"film": "forest"}}}
}

// TestFrames runs a batch with needs between frames, in any order of their numbers.
func TestFrames(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.node("n1")
	frames := jobs.Range(250, 1, -1)
	for i := range frames {
		if n := frames[i].Number; n%10 == 0 && n > 10 {
			frames[i].Needs = []int{n - 10, n - 1}
		}
	}
	id := f.submit(render(frames))
	if r := f.work(id); r.State != jobs.Succeeded || r.Attempt != 1 || r.Node != "n1" {
		t.Fatalf("%+v", r)
	}
	s := f.summary(id)
	if s.Frames != 250 || s.Succeeded != 250 || s.open() != 0 || s.Seconds == nil || s.Tar != "http://r.example/results/"+id+"/bundle.tar" {
		t.Errorf("%+v", s)
	}
	for n := 20; n <= 250; n += 10 {
		own := slices.Index(f.order, jobs.FrameID(id, n))
		if before := slices.Index(f.order, jobs.FrameID(id, n-10)); own < before || own < slices.Index(f.order, jobs.FrameID(id, n-1)) {
			t.Errorf("frame %d ended before those that it needs", n)
		}
	}
	r, err := f.ledger.Get(t.Context(), jobs.FrameID(id, 7))
	if err != nil || r.Labels["film"] != "forest" || r.Labels["batch"] != id || r.Labels["frame"] != "7" {
		t.Errorf("%+v, %v", r, err)
	}
	if name, err := f.ledger.Submitter(t.Context(), r.ID); err != nil || name != "maria" {
		t.Errorf("submitted by %q, %v", name, err)
	}
}

// TestFailedFrames fails a batch, whose retry runs only what has not succeeded.
func TestFailedFrames(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.node("n1")
	frames := jobs.Range(1, 30, 1)
	frames[9].Needs = []int{20}
	frames[4].Needs = []int{10}
	f.say(func(number string) jobs.State {
		if number == "20" || number == "30" {
			return jobs.Failed
		}
		return jobs.Succeeded
	})
	id := f.submit(render(frames))
	r := f.work(id)
	if r.State != jobs.Failed || r.Error.Class != jobs.ClassNeeds || r.Error.Message != "4 of 30 frames have not succeeded: 5, 10, 20, 30" {
		t.Fatalf("%s: %+v", r.State, r.Error)
	}
	if s := f.summary(id); s.Succeeded != 26 || s.Failed != 4 || !slices.Equal(s.Unsuccessful, []int{5, 10, 20, 30}) {
		t.Errorf("%+v", s)
	}
	f.say(func(string) jobs.State { return jobs.Succeeded })
	if acted, err := f.dispatcher.Act(t.Context(), ledger.VerbRetry, "otto", []ledger.Target{{ID: id}}); err != nil || acted[0].Err != nil {
		t.Fatal(err, acted)
	}
	if r := f.work(id); r.State != jobs.Succeeded || r.Attempt != 2 {
		t.Fatalf("%+v", r)
	}
	if len(f.order) != 28+4 {
		t.Errorf("%d runs of 30 frames", len(f.order))
	}
}

// TestCancel cancels a batch: frames that wait are cancelled at once, one that runs is asked to
// stop.
func TestCancel(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.node("n1")
	f.say(func(number string) jobs.State {
		if number == "3" {
			return jobs.Queued
		}
		return jobs.Succeeded
	})
	frames := jobs.Range(1, 400, 1)
	for i := 4; i < 400; i++ {
		frames[i].Needs = []int{3}
	}
	id := f.submit(render(frames))
	f.until(id, func(ledger.Record) bool {
		return f.states(id)[jobs.Waiting] == 396 && f.states(id)[jobs.Succeeded] == 3
	})
	if _, err := f.dispatcher.Act(t.Context(), ledger.VerbCancel, "otto", []ledger.Target{{ID: id}}); err != nil {
		t.Fatal(err)
	}
	f.until(id, func(ledger.Record) bool { return f.states(id)[jobs.Cancelled] == 396 })
	if r, err := f.ledger.Get(t.Context(), id); err != nil || r.State != jobs.Running {
		t.Errorf("%s, %v, while a frame runs", r.State, err)
	}
	r, err := f.ledger.Get(t.Context(), jobs.FrameID(id, 3))
	if err != nil || r.Asked != ledger.VerbCancel {
		t.Errorf("%q, %v", r.Asked, err)
	}
	if _, err := f.ledger.Finish(t.Context(), r.ID, r.Attempt, ledger.Ending{Outcome: jobs.OutcomeCancelled, State: jobs.Cancelled, ExitCode: -1}); err != nil {
		t.Fatal(err)
	}
	if r := f.work(id); r.State != jobs.Cancelled {
		t.Errorf("%+v", r)
	}
}

// TestCancelledInTheQueue cancels a batch that no node runs but some of whose frames wait.
func TestCancelledInTheQueue(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	stop := f.node("n1")
	f.say(func(string) jobs.State { return jobs.Queued })
	id := f.submit(render(jobs.Range(1, 5, 1)))
	f.until(id, func(ledger.Record) bool { return f.states(id)[jobs.Running] == 5 })
	stop()
	f.quota = 0
	for n := range 5 {
		r, err := f.ledger.Get(t.Context(), jobs.FrameID(id, n+1))
		if err == nil {
			_, err = f.ledger.Finish(t.Context(), r.ID, r.Attempt, ledger.Ending{Outcome: jobs.OutcomeInterrupted, State: jobs.Queued, NotBefore: time.Now().Add(time.Hour), ExitCode: -1})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if acted, err := f.dispatcher.Act(t.Context(), ledger.VerbCancel, "otto", []ledger.Target{{ID: id}}); err != nil || acted[0].Record.State != jobs.Cancelled {
		t.Fatal(err, acted)
	}
	f.node("n2")
	f.until(id, func(ledger.Record) bool { return f.states(id)[jobs.Cancelled] == 5 })

	f.quota = math.MaxInt
	f.say(func(string) jobs.State { return jobs.Succeeded })
	if acted, err := f.dispatcher.Act(t.Context(), ledger.VerbRetry, "otto", []ledger.Target{{ID: id}}); err != nil || acted[0].Err != nil {
		t.Fatal(err, acted)
	}
	if r := f.work(id); r.State != jobs.Succeeded || f.states(id)[jobs.Succeeded] != 5 {
		t.Errorf("after a retry the batch is %s, its frames %v", r.State, f.states(id))
	}
}

// TestMaxRunning keeps the number of open frames within the bound.
func TestMaxRunning(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.node("n1")
	b := render(jobs.Range(0, 59, 1))
	b.Frames[0].Needs = []int{59} // is made before
	b.MaxRunning = 4
	id := f.submit(b)
	if r := f.work(id); r.State != jobs.Succeeded {
		t.Fatalf("%+v", r)
	}
	if f.most > 4 || f.most < 2 {
		t.Errorf("%d frames at once", f.most)
	}
}

// TestMaxRunningOfChains runs two at once of frames of which each needs the one before: those that
// wait do not take the place of others.
func TestMaxRunningOfChains(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.node("n1")
	frames := jobs.Range(0, 99, 1)
	for i := range frames {
		if i%10 > 0 {
			frames[i].Needs = []int{i - 1}
		}
	}
	b := render(frames)
	b.MaxRunning = 2
	f.say(func(number string) jobs.State {
		if number == "0" {
			return jobs.Queued // it goes on running
		}
		return jobs.Succeeded
	})
	id := f.submit(b)
	f.until(id, func(ledger.Record) bool { return f.states(id)[jobs.Succeeded] == 90 })
	f.say(func(string) jobs.State { return jobs.Succeeded })
	first := jobs.FrameID(id, 0)
	if _, err := f.ledger.Finish(t.Context(), first, 1, ledger.Ending{Outcome: jobs.OutcomeSucceeded, State: jobs.Succeeded, Result: []byte("{}")}); err != nil {
		t.Fatal(err)
	}
	if r := f.work(id); r.State != jobs.Succeeded || f.most > 2 {
		t.Errorf("%s, %d frames at once", r.State, f.most)
	}
}

// TestDeleteFrame deletes a frame when its batch has ended, and not before: the batch would make
// the frame again.
func TestDeleteFrame(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.node("n1")
	b := render(jobs.Range(1, 9, 1))
	b.MaxRunning = 3
	id := f.submit(b)
	first := jobs.FrameID(id, 1)
	remove := func() error {
		acted, err := f.dispatcher.Act(t.Context(), ledger.VerbDelete, "otto", []ledger.Target{{ID: first}})
		if err != nil {
			t.Fatal(err)
		}
		return acted[0].Err
	}
	f.quota = 3
	f.until(id, func(ledger.Record) bool { return f.states(id)[jobs.Succeeded] == 3 })
	if err := remove(); !errors.Is(err, retention.ErrBatch) {
		t.Errorf("delete of a frame of a running batch: %v", err)
	}
	f.quota = 100
	f.work(id)
	if err := remove(); err != nil || len(f.states(id)) != 1 || f.states(id)[jobs.Succeeded] != 8 {
		t.Errorf("delete of a frame of a batch that has ended: %v, %v", err, f.states(id))
	}
}

// TestBundle runs the bundle after all frames, and ends the batch as it does.
func TestBundle(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fails  string // number of the frame, or the bundle
		needs  string
		state  jobs.State
		fault  string
		filmed bool
	}{
		"all well":                {state: jobs.Succeeded, filmed: true},
		"a frame fails":           {fails: "2", state: jobs.Failed, fault: "the bundle is failed: job "},
		"it takes what there is":  {fails: "2", needs: jobs.NeedsRun, state: jobs.Succeeded, filmed: true},
		"the bundle fails itself": {fails: "bundle", state: jobs.Failed, fault: "the bundle is failed: ", filmed: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			f.node("n1")
			f.say(func(number string) jobs.State {
				if number == c.fails {
					return jobs.Failed
				}
				return jobs.Succeeded
			})
			b := render(jobs.Range(1, 3, 1))
			b.Bundle = &jobs.Job{Program: "film", NeedsFailed: c.needs}
			id := f.submit(b)
			r := f.work(id)
			if r.State != c.state || c.fault != "" && !strings.HasPrefix(r.Error.Message, c.fault) {
				t.Errorf("%s: %+v", r.State, r.Error)
			}
			if at := slices.Index(f.order, jobs.BundleID(id)); at >= 0 != c.filmed || at >= 0 && at != 3 {
				t.Errorf("the bundle ran at place %d", at)
			}
			if s := f.summary(id); s.Bundle != "http://r.example/results/"+id+"/bundle" || s.Frames != 3 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// TestTakenUp stops the node of a batch while frames are made and run. The next one goes on.
func TestTakenUp(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.submit(render(jobs.Range(1, 1500, 1)))
	for n := range 5 {
		f.quota = 200 * (n + 1)
		stop := f.node("n" + strconv.Itoa(n))
		f.until(id, func(ledger.Record) bool { return len(f.order) == f.quota })
		stop()
	}
	f.quota = 1500
	f.node("last")
	if r := f.work(id); r.State != jobs.Succeeded || r.Attempt < 2 || r.Node != "last" {
		t.Fatalf("%+v", r)
	}
	slices.Sort(f.order)
	if n := len(slices.Compact(slices.Clone(f.order))); n != 1500 || len(f.order) != 1500 {
		t.Errorf("%d frames ran %d times", n, len(f.order))
	}
}

// TestLostWithItsNode lets the node of a batch die again and again: that does not count against
// the batch, which does nothing that could end a node.
func TestLostWithItsNode(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.submit(render(jobs.Range(1, 3, 1)))
	for n := range 7 {
		instance := fmt.Sprintf("instance %d", n)
		if err := f.ledger.Nodes.Register(t.Context(), nodes.Node{Name: "n1", Instance: instance, Slots: 1, Home: "the same folder"}); err != nil {
			t.Fatal(err)
		}
		if _, err := f.ledger.Recover(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		claim, err := f.ledger.Claim(t.Context(), id, ledger.Owner{Instance: instance, Node: "n1"}, "")
		if err != nil || !claim.OK || claim.Record.Crashes != 0 {
			t.Fatalf("claim %d: %+v, %v", n, claim, err)
		}
	}
}

// TestTakenID fails a batch one of whose frames has the id of another job.
func TestTakenID(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	b := render(jobs.Range(1, 3, 1))
	b.ID = jobs.NewID()
	taken := jobs.FrameID(b.ID, 2)
	if _, err := f.dispatcher.Accept(t.Context(), [][]byte{fmt.Appendf(nil, `{"id":%q,"program":"film","input":{"data":1},"result":{"url":"http://r.example/%[1]s"}}`, taken)}, ""); err != nil {
		t.Fatal(err)
	}
	f.node("n1")
	id := f.submit(b)
	if r := f.work(id); r.State != jobs.Failed || !strings.HasPrefix(r.Error.Message, "frame 2: the id is known with another document") {
		t.Errorf("%s: %+v", r.State, r.Error)
	}
}

// TestLargeFrame fails a frame whose document is too large, and no other.
func TestLargeFrame(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.node("n1")
	b := render(jobs.Range(1, 2, 1))
	b.Job.Input.Data = []byte(`"` + strings.Repeat("${x}", 3000) + `"`)
	b.Frames[0].Values = map[string]json.RawMessage{"x": []byte("1")}
	b.Frames[1].Values = map[string]json.RawMessage{"x": []byte(`"` + strings.Repeat("y", 400) + `"`)}
	id := f.submit(b)
	if r := f.work(id); r.State != jobs.Failed || r.Error.Message != "1 of 2 frames have not succeeded: 2" {
		t.Errorf("%s: %+v", r.State, r.Error)
	}
	r, err := f.ledger.Get(t.Context(), jobs.FrameID(id, 2))
	if err != nil || r.Error.Class != jobs.ClassDocument || !strings.HasPrefix(r.Error.Message, "the document must have at most 1048576 bytes") || r.Program != "render" {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestUnreadableBatch fails a batch that its node cannot read.
func TestUnreadableBatch(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := jobs.NewID()
	entry := ledger.Entry{Job: jobs.Job{ID: id, Program: jobs.BatchProgram}, Document: fmt.Appendf(nil, `{"id":%q,"program":"batch","input":{"data":{"tiles":4}}}`, id)}
	if _, err := f.ledger.Accept(t.Context(), []ledger.Entry{entry}); err != nil {
		t.Fatal(err)
	}
	f.node("n1")
	if r := f.work(id); r.State != jobs.Failed || r.Error.Class != jobs.ClassDocument || r.Error.Pointer != "/input/data/tiles" {
		t.Errorf("%s: %+v", r.State, r.Error)
	}
}

// TestHold gives a batch up while the node is drained.
func TestHold(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.say(func(string) jobs.State { return jobs.Queued })
	instance := jobs.NewID()
	if err := f.ledger.Nodes.Register(t.Context(), nodes.Node{Name: "n1", Instance: instance, Slots: 1}); err != nil {
		t.Fatal(err)
	}
	r := New(Config{Ledger: f.ledger, Dispatcher: f.dispatcher, Store: f.store, Node: "n1", Instance: instance, Interval: 10 * time.Millisecond, Logger: quiet()})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = r.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	id := f.submit(render(jobs.Range(1, 2, 1)))
	for range 2 {
		r.Hold("")
		f.until(id, func(r ledger.Record) bool { return r.State == jobs.Running })
		r.Hold("drained")
		f.until(id, func(r ledger.Record) bool { return r.State == jobs.Queued })
	}
}

// TestHeldQueue makes no frames while the queue is drained.
func TestHeldQueue(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.submit(render(jobs.Range(1, 2, 1)))
	f.dispatcher.Hold("drained")
	f.node("n1")
	f.until(id, func(r ledger.Record) bool { return r.State == jobs.Running })
	var held *dispatch.Held
	if err := f.dispatcher.AcceptFrames(t.Context(), id, "", nil); !errors.As(err, &held) {
		t.Fatal(err)
	}
	if first, last, n, err := f.ledger.Batches.Bounds(t.Context(), id); err != nil || n != 0 || first != 0 || last != 0 {
		t.Errorf("frames %d to %d, %v", first, last, err)
	}
	f.dispatcher.Hold("")
	if r := f.work(id); r.State != jobs.Succeeded {
		t.Errorf("%+v", r)
	}
	if first, last, n, err := f.ledger.Batches.Bounds(t.Context(), id); err != nil || n != 2 || first != 1 || last != 2 {
		t.Errorf("frames %d to %d, %v", first, last, err)
	}
}

// TestLists reads frames by number, state, run time and range.
func TestLists(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.node("n1")
	f.say(func(number string) jobs.State {
		if number == "25" {
			return jobs.Failed
		}
		return jobs.Succeeded
	})
	id := f.submit(render(jobs.Range(10, 49, 1)))
	f.work(id)
	b := f.ledger.Batches
	list, err := b.List(t.Context(), id, "", 15, 30, 3)
	if err != nil || len(list) != 3 || list[0].Number != 15 || list[2].Job != jobs.FrameID(id, 17) || list[0].Run(time.Now()) < 0 {
		t.Errorf("%+v, %v", list, err)
	}
	if list, err = b.List(t.Context(), id, jobs.Failed, 0, 99, 10); err != nil || len(list) != 1 || list[0].Number != 25 {
		t.Errorf("%+v, %v", list, err)
	}
	if list, err = b.Slowest(t.Context(), id, 5); err != nil || len(list) != 5 || list[0].Run(time.Now()) < list[4].Run(time.Now()) {
		t.Errorf("%+v, %v", list, err)
	}
	ranges, err := b.Ranges(t.Context(), id, 20, 100)
	if err != nil || len(ranges) != 3 || ranges[1].First != 20 || ranges[1].States[jobs.Succeeded] != 19 || ranges[1].States[jobs.Failed] != 1 || ranges[2].States[jobs.Succeeded] != 10 {
		t.Errorf("%+v, %v", ranges, err)
	}
	if batch, number, err := b.Of(t.Context(), jobs.FrameID(id, 25)); err != nil || batch != id || number != 25 {
		t.Errorf("%s, %d, %v", batch, number, err)
	}
	if batch, _, err := b.Of(t.Context(), id); err != nil || batch != "" {
		t.Errorf("%s, %v", batch, err)
	}
	var frame batches.Frame
	if frame.Run(time.Now()) != 0 {
		t.Error("a frame that has not started has run")
	}
}
