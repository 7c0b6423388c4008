package publisher

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
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

func (f *fakeJob) read(_ context.Context, id string) *document {
	f.reads.Add(1)
	state, _ := f.state.Load().(jobs.State)
	box, _ := f.err.Load().(errorBox)
	return &document{id: id, state: state, version: fmt.Sprint(f.version.Load()), err: box.err}
}

func startHub(t *testing.T, limit int, f *fakeJob) *hub {
	t.Helper()
	h := newHub(func() int { return limit }, f.read)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { h.run(ctx); close(ended) }()
	t.Cleanup(func() { cancel(); <-ended })
	return h
}

func await(t *testing.T, s *subscription, version string) *document {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		select {
		case d := <-s.mail:
			if d.version == version {
				return d
			}
		case <-deadline:
			t.Fatalf("no document of version %s", version)
		}
	}
}

func TestHubTellsTheFirstAndEachNewDocument(t *testing.T) {
	t.Parallel()
	f := &fakeJob{}
	h := startHub(t, 10, f)
	a, err := h.subscribe("a", netip.Prefix{})
	if err != nil {
		t.Fatal(err)
	}
	defer a.close()
	await(t, a, "0")
	b, err := h.subscribe("a", netip.Prefix{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.close()
	await(t, b, "0")
	f.version.Store(1)
	h.changed([]string{"other", "a"})
	await(t, a, "1")
	await(t, b, "1")
}

func TestHubKeepsOnlyTheNewestForASlowSubscriber(t *testing.T) {
	t.Parallel()
	f := &fakeJob{}
	h := startHub(t, 10, f)
	slow, err := h.subscribe("a", netip.Prefix{})
	if err != nil {
		t.Fatal(err)
	}
	defer slow.close()
	quick, err := h.subscribe("a", netip.Prefix{})
	if err != nil {
		t.Fatal(err)
	}
	defer quick.close()
	for v := range int64(5) {
		f.version.Store(v)
		h.changed([]string{"a"})
		await(t, quick, fmt.Sprint(v))
	}
	if d := <-slow.mail; d.version == "0" {
		t.Errorf("the slow subscriber found version %s", d.version)
	}
	select {
	case d := <-slow.mail:
		if d.version != "4" {
			t.Errorf("and then %s", d.version)
		}
	default:
	}
}

func TestHubSeesChangesOfOtherProcesses(t *testing.T) {
	t.Parallel()
	f := &fakeJob{}
	h := startHub(t, 10, f)
	s, err := h.subscribe("a", netip.Prefix{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	await(t, s, "0")
	f.version.Store(7) // and nobody says so
	h.others.Store(true)
	await(t, s, "7")
}

// TestHubSweepsForAReason counts the reads of a job that runs and of one that waits.
func TestHubSweepsForAReason(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		state jobs.State
		cause func(h *hub)
		ticks int
		reads int64
	}{
		"none":                      {jobs.Queued, func(*hub) {}, hubAnyway - 1, 0},
		"time":                      {jobs.Queued, func(*hub) {}, hubAnyway, 1},
		"own change, queued":        {jobs.Queued, func(h *hub) { h.changed([]string{"other"}) }, 3, 1},
		"own change, running":       {jobs.Running, func(h *hub) { h.changed([]string{"other"}) }, 3, 0},
		"another process, running":  {jobs.Running, func(h *hub) { h.others.Store(true) }, 3, 1},
		"another process, finished": {jobs.Succeeded, func(h *hub) { h.others.Store(true) }, 3, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &fakeJob{}
			f.state.Store(test.state)
			h := newHub(func() int { return 1 }, f.read)
			s, err := h.subscribe("a", netip.Prefix{})
			if err != nil {
				t.Fatal(err)
			}
			defer s.close()
			h.refresh(t.Context(), h.takeDirty())
			before := f.reads.Load()
			test.cause(h)
			for range test.ticks {
				h.tick(t.Context())
			}
			if n := f.reads.Load() - before; n != test.reads {
				t.Errorf("%d reads, want %d", n, test.reads)
			}
		})
	}
}

func TestHubErrors(t *testing.T) {
	t.Parallel()
	f := &fakeJob{}
	f.err.Store(errorBox{errors.New("locked")})
	h := startHub(t, 10, f)
	s, err := h.subscribe("a", netip.Prefix{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if d := await(t, s, "0"); !d.failed() {
		t.Error("the first reading failed and nobody was told")
	}
	f.err.Store(errorBox{ledger.ErrUnknown})
	h.changed([]string{"a"})
	if d := await(t, s, "0"); !isUnknown(d.err) {
		t.Errorf("got %v, want unknown", d.err)
	}
	f.err.Store(errorBox{})
	f.version.Store(1)
	h.changed([]string{"a"})
	await(t, s, "1")
	f.err.Store(errorBox{errors.New("locked")})
	f.version.Store(2)
	h.changed([]string{"a"})
	f.err.Store(errorBox{})
	h.changed([]string{"a"})
	if d := await(t, s, "2"); d.failed() {
		t.Error("an error came in place of a good document")
	}
}

func TestHubBounds(t *testing.T) {
	t.Parallel()
	h := startHub(t, 1, &fakeJob{})
	s, err := h.subscribe("a", netip.Prefix{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.subscribe("b", netip.Prefix{}); !errors.Is(err, errBusy) {
		t.Errorf("got %v, want errBusy", err)
	}
	s.close()
	s, err = h.subscribe("b", netip.Prefix{})
	if err != nil {
		t.Fatal(err)
	}
	s.close()
	if len(h.topics) != 0 || h.places.Len() != 0 {
		t.Errorf("%d topics, count %d are left", len(h.topics), h.places.Len())
	}
	h.end()
	if _, err := h.subscribe("b", netip.Prefix{}); !errors.Is(err, errClosing) {
		t.Errorf("got %v, want errClosing", err)
	}
}

func TestHubRestsWithoutWatchers(t *testing.T) {
	t.Parallel()
	f := &fakeJob{}
	h := startHub(t, 1, f)
	h.changed([]string{"a", "b"})
	s, err := h.subscribe("a", netip.Prefix{})
	if err != nil {
		t.Fatal(err)
	}
	await(t, s, "0")
	s.close()
	if n := f.reads.Load(); n > 2 {
		t.Errorf("%d reads for one watcher", n)
	}
}

func TestHubTellsNothingTwice(t *testing.T) {
	t.Parallel()
	h := newHub(func() int { return 1 }, nil)
	s, err := h.subscribe("a", netip.Prefix{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, version := range []string{"0", "0", "1", "1", "0"} {
		h.tell(&document{id: "a", version: version})
		select {
		case d := <-s.mail:
			got = append(got, d.version)
		default:
			got = append(got, "")
		}
	}
	if want := []string{"0", "", "1", "", "0"}; !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
}

// TestHubForgetsAnEndThatWasUndone: who comes after a retry does not get the
// failure before it, though others have just been told of that.
func TestHubForgetsAnEndThatWasUndone(t *testing.T) {
	t.Parallel()
	f := &fakeJob{}
	f.state.Store(jobs.Failed)
	h := startHub(t, 10, f)
	before, err := h.subscribe("a", netip.Prefix{})
	if err != nil {
		t.Fatal(err)
	}
	defer before.close()
	await(t, before, "0")
	f.state.Store(jobs.Queued) // by another process: nobody names the job
	f.version.Store(1)
	h.others.Store(true)
	after, err := h.subscribe("a", netip.Prefix{})
	if err != nil {
		t.Fatal(err)
	}
	defer after.close()
	if d := <-after.mail; d.state != jobs.Queued {
		t.Errorf("the first document is %s", d.state)
	}
	await(t, before, "1")
}

// TestHubDropsAnEndThatIsUndoneWhileItIsRead: the read began before the retry.
func TestHubDropsAnEndThatIsUndoneWhileItIsRead(t *testing.T) {
	t.Parallel()
	f := &fakeJob{}
	f.state.Store(jobs.Failed)
	var h *hub
	read := func(ctx context.Context, id string) *document {
		d := f.read(ctx, id)
		if d.state == jobs.Failed {
			f.state.Store(jobs.Queued)
			h.changed([]string{id})
		}
		return d
	}
	h = newHub(func() int { return 10 }, read)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { h.run(ctx); close(ended) }()
	defer func() { cancel(); <-ended }()
	s, err := h.subscribe("a", netip.Prefix{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if d := <-s.mail; d.state != jobs.Queued {
		t.Errorf("the first document is %s", d.state)
	}
}

func TestHubOutlivesAPanicOverOneJob(t *testing.T) {
	t.Parallel()
	f := &fakeJob{}
	h := newHub(func() int { return 10 }, func(ctx context.Context, id string) *document {
		if id == "bad" {
			panic("a mine")
		}
		return f.read(ctx, id)
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { h.run(ctx); close(ended) }()
	defer func() { cancel(); <-ended }()
	for _, id := range []string{"bad", "good"} {
		s, err := h.subscribe(id, netip.Prefix{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.close()
		if id == "good" {
			await(t, s, "0")
		}
	}
}
