package live

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/jobs"
)

// fakeJob is a job whose document a test changes.
type fakeJob struct {
	version atomic.Int64
	state   atomic.Value // jobs.State
	reads   atomic.Int64
	err     atomic.Value // errorBox
}

type errorBox struct{ err error }

// fakeDocument is what a reading of a fakeJob found.
type fakeDocument struct {
	id, version string
	state       jobs.State
	err         error
}

func (d *fakeDocument) ID() string        { return d.id }
func (d *fakeDocument) State() jobs.State { return d.state }
func (d *fakeDocument) Version() string   { return d.version }
func (d *fakeDocument) Failed() bool      { return d.err != nil && !errors.Is(d.err, errUnknown) }

func (d *fakeDocument) Message() *Message {
	if d.err != nil {
		return nil
	}
	return Event("state", d.version, nil, "state")
}

func (d *fakeDocument) SharedMessage() *Message {
	if d.err != nil {
		return Event("refused", "", []byte(d.id), "state "+d.id)
	}
	return Event("state", "", []byte(d.id+" "+d.version), "state "+d.id)
}

var errUnknown = errors.New("unknown")

func (f *fakeJob) read(_ context.Context, id string) Document {
	f.reads.Add(1)
	state, _ := f.state.Load().(jobs.State)
	box, _ := f.err.Load().(errorBox)
	return &fakeDocument{id: id, state: state, version: fmt.Sprint(f.version.Load()), err: box.err}
}

func newBroker(limit int, read func(context.Context, string) Document) *Broker {
	return NewBroker(Config{
		MaxStreams: func() int { return limit }, Read: read, Source: &fakeSource{}, Logger: slog.New(slog.DiscardHandler),
	})
}

// start runs a broker to the end of the test.
func start(t *testing.T, b *Broker) *Broker {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { b.Run(ctx); close(ended) }()
	t.Cleanup(func() { cancel(); <-ended })
	return b
}

func startBroker(t *testing.T, limit int, f *fakeJob) *Broker {
	t.Helper()
	return start(t, newBroker(limit, f.read))
}

func await(t *testing.T, s *Subscription, version string) *fakeDocument {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		select {
		case d := <-s.mail:
			if d.Version() == version {
				return d.(*fakeDocument)
			}
		case <-deadline:
			t.Fatalf("no document of version %s", version)
		}
	}
}

func TestFirstAndEachNewDocument(t *testing.T) {
	t.Parallel()
	f := &fakeJob{}
	h := startBroker(t, 10, f)
	a, err := h.Subscribe("a", netip.Prefix{})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	await(t, a, "0")
	b, err := h.Subscribe("a", netip.Prefix{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	await(t, b, "0")
	f.version.Store(1)
	h.Changed([]string{"other", "a"})
	await(t, a, "1")
	await(t, b, "1")
}

func TestSlowSubscriberGetsTheNewest(t *testing.T) {
	t.Parallel()
	f := &fakeJob{}
	h := startBroker(t, 10, f)
	slow, err := h.Subscribe("a", netip.Prefix{})
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	quick, err := h.Subscribe("a", netip.Prefix{})
	if err != nil {
		t.Fatal(err)
	}
	defer quick.Close()
	for v := range int64(5) {
		f.version.Store(v)
		h.Changed([]string{"a"})
		await(t, quick, fmt.Sprint(v))
	}
	if d := <-slow.mail; d.Version() == "0" {
		t.Errorf("the slow subscriber found version %s", d.Version())
	}
	select {
	case d := <-slow.mail:
		if d.Version() != "4" {
			t.Errorf("and then %s", d.Version())
		}
	default:
	}
}

func TestChangesOfOtherProcesses(t *testing.T) {
	t.Parallel()
	f := &fakeJob{}
	h := startBroker(t, 10, f)
	s, err := h.Subscribe("a", netip.Prefix{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	await(t, s, "0")
	f.version.Store(7) // and nobody says so
	h.ChangedOutside()
	await(t, s, "7")
}

// TestSweepNeedsAReason counts the reads of a job that runs and of one that waits.
func TestSweepNeedsAReason(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		state jobs.State
		cause func(h *Broker)
		ticks int
		reads int64
	}{
		"none":                      {jobs.Queued, func(*Broker) {}, sweepAnyway - 1, 0},
		"time":                      {jobs.Queued, func(*Broker) {}, sweepAnyway, 1},
		"own change, queued":        {jobs.Queued, func(h *Broker) { h.Changed([]string{"other"}) }, 3, 1},
		"own change, running":       {jobs.Running, func(h *Broker) { h.Changed([]string{"other"}) }, 3, 0},
		"another process, running":  {jobs.Running, func(h *Broker) { h.ChangedOutside() }, 3, 1},
		"another process, finished": {jobs.Succeeded, func(h *Broker) { h.ChangedOutside() }, 3, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &fakeJob{}
			f.state.Store(test.state)
			h := newBroker(1, f.read)
			s, err := h.Subscribe("a", netip.Prefix{})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			h.jobs.refresh(t.Context(), h.jobs.takeDirty())
			before := f.reads.Load()
			test.cause(h)
			for range test.ticks {
				h.jobs.tick(t.Context())
			}
			if n := f.reads.Load() - before; n != test.reads {
				t.Errorf("%d reads, want %d", n, test.reads)
			}
		})
	}
}

func TestReadErrors(t *testing.T) {
	t.Parallel()
	f := &fakeJob{}
	f.err.Store(errorBox{errors.New("locked")})
	h := startBroker(t, 10, f)
	s, err := h.Subscribe("a", netip.Prefix{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if d := await(t, s, "0"); !d.Failed() {
		t.Error("the first reading failed and nobody was told")
	}
	f.err.Store(errorBox{errUnknown})
	h.Changed([]string{"a"})
	if d := await(t, s, "0"); !errors.Is(d.err, errUnknown) {
		t.Errorf("got %v, want unknown", d.err)
	}
	f.err.Store(errorBox{})
	f.version.Store(1)
	h.Changed([]string{"a"})
	await(t, s, "1")
	f.err.Store(errorBox{errors.New("locked")})
	f.version.Store(2)
	h.Changed([]string{"a"})
	f.err.Store(errorBox{})
	h.Changed([]string{"a"})
	if d := await(t, s, "2"); d.Failed() {
		t.Error("an error came in place of a good document")
	}
}

func TestMaxStreams(t *testing.T) {
	t.Parallel()
	h := startBroker(t, 1, &fakeJob{})
	s, err := h.Subscribe("a", netip.Prefix{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Subscribe("b", netip.Prefix{}); !errors.Is(err, ErrBusy) {
		t.Errorf("got %v, want ErrBusy", err)
	}
	s.Close()
	s, err = h.Subscribe("b", netip.Prefix{})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if len(h.jobs.topics) != 0 || h.places.Len() != 0 {
		t.Errorf("%d topics, count %d are left", len(h.jobs.topics), h.places.Len())
	}
	h.End()
	if _, err := h.Subscribe("b", netip.Prefix{}); !errors.Is(err, ErrClosing) {
		t.Errorf("got %v, want ErrClosing", err)
	}
}

func TestNoReadsWithoutSubscribers(t *testing.T) {
	t.Parallel()
	f := &fakeJob{}
	h := startBroker(t, 1, f)
	h.Changed([]string{"a", "b"})
	s, err := h.Subscribe("a", netip.Prefix{})
	if err != nil {
		t.Fatal(err)
	}
	await(t, s, "0")
	s.Close()
	if n := f.reads.Load(); n > 2 {
		t.Errorf("%d reads for one watcher", n)
	}
}

func TestSameVersionIsNotDeliveredAgain(t *testing.T) {
	t.Parallel()
	h := newBroker(1, nil)
	s, err := h.Subscribe("a", netip.Prefix{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, version := range []string{"0", "0", "1", "1", "0"} {
		h.jobs.deliver(&fakeDocument{id: "a", version: version})
		select {
		case d := <-s.mail:
			got = append(got, d.Version())
		default:
			got = append(got, "")
		}
	}
	if want := []string{"0", "", "1", "", "0"}; !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
}

// TestSubscribeAfterARetry: who comes after a retry does not get the
// failure before it, though others have just been told of that.
func TestSubscribeAfterARetry(t *testing.T) {
	t.Parallel()
	f := &fakeJob{}
	f.state.Store(jobs.Failed)
	h := startBroker(t, 10, f)
	before, err := h.Subscribe("a", netip.Prefix{})
	if err != nil {
		t.Fatal(err)
	}
	defer before.Close()
	await(t, before, "0")
	f.state.Store(jobs.Queued) // by another process: nobody names the job
	f.version.Store(1)
	h.ChangedOutside()
	after, err := h.Subscribe("a", netip.Prefix{})
	if err != nil {
		t.Fatal(err)
	}
	defer after.Close()
	if d := <-after.mail; d.State() != jobs.Queued {
		t.Errorf("the first document is %s", d.State())
	}
	await(t, before, "1")
}

// TestRetryDuringARead: the read began before the retry.
func TestRetryDuringARead(t *testing.T) {
	t.Parallel()
	f := &fakeJob{}
	f.state.Store(jobs.Failed)
	var h *Broker
	read := func(ctx context.Context, id string) Document {
		d := f.read(ctx, id)
		if d.State() == jobs.Failed {
			f.state.Store(jobs.Queued)
			h.Changed([]string{id})
		}
		return d
	}
	h = newBroker(10, read)
	start(t, h)
	s, err := h.Subscribe("a", netip.Prefix{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if d := <-s.mail; d.State() != jobs.Queued {
		t.Errorf("the first document is %s", d.State())
	}
}

func TestPanicOverOneJob(t *testing.T) {
	t.Parallel()
	f := &fakeJob{}
	h := newBroker(10, func(ctx context.Context, id string) Document {
		if id == "bad" {
			panic("a mine")
		}
		return f.read(ctx, id)
	})
	start(t, h)
	for _, id := range []string{"bad", "good"} {
		s, err := h.Subscribe(id, netip.Prefix{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if id == "good" {
			await(t, s, "0")
		}
	}
}

// TestStreamEvictedBeforeItBegins ends when it begins, and holds nothing.
func TestStreamEvictedBeforeItBegins(t *testing.T) {
	t.Parallel()
	b := newBroker(2, (&fakeJob{}).read)
	many, one := netip.MustParsePrefix("10.0.0.1/32"), netip.MustParsePrefix("10.0.0.2/32")
	var subs []*Subscription
	for range 2 {
		sub, err := b.Subscribe("a", many)
		if err != nil {
			t.Fatal(err)
		}
		subs = append(subs, sub)
	}
	place, err := b.acquire(one, func() {})
	if err != nil {
		t.Fatal(err)
	}
	evicted := subs[0]
	select {
	case <-subs[0].evicted:
		subs[1].Close()
	case <-subs[1].evicted:
		evicted = subs[1]
		subs[0].Close()
	}
	ended := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		defer close(ended)
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
		b.streams.Serve(httptest.NewRecorder(), r, 0, evicted.begin, evicted.Close)
	}()
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Error("the stream goes on without a place")
		cancel()
		<-ended
	}
	b.places.Release(place)
	if b.Len() != 0 {
		t.Errorf("%d places are left", b.Len())
	}
}

// TestSharedStreamLeavesNoWatch follows jobs in one stream whose client goes away while it
// begins, later, and at the end of the broker.
func TestSharedStreamLeavesNoWatch(t *testing.T) {
	f := &fakeJob{}
	f.state.Store(jobs.Running)
	b := startBroker(t, 2, f)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := b.ServeJobs(w, r, []string{"a", "b", "c"}, []*Message{Event("refused", "", []byte("d"), "state d")}); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(server.Close)
	t.Cleanup(b.End)
	watched := func() int {
		b.jobs.mu.Lock()
		defer b.jobs.mu.Unlock()
		return len(b.jobs.topics)
	}
	for _, want := range []string{"retry: 2000\n\nevent: refused\ndata: d\n\n", ""} {
		resp, err := http.Get(server.URL) //nolint:noctx // closed below
		if err != nil {
			t.Fatal(err)
		}
		text := make([]byte, len(want))
		if _, err := io.ReadFull(resp.Body, text); err != nil || string(text) != want {
			t.Errorf("%q, %v; want %q", text, err, want)
		}
		resp.Body.Close()
	}
	(&rig{t: t}).eventually(func() bool { b.streams.Sweep(); return b.Len() == 0 && watched() == 0 })
}
