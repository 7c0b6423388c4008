package checkpoint

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/checkpoints"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/internal/retry"
	"github.com/runnerbean/runnerbean/internal/store"
)

// ledger stands for the ledger at its interface.
type ledger struct {
	mu        sync.Mutex
	begun     int
	kept      []checkpoints.Checkpoint
	abandoned []int
	stale     bool
}

func (l *ledger) Begin(context.Context, string, int) (int, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.begun++
	return l.begun, true, nil
}

func (l *ledger) Record(_ context.Context, c checkpoints.Checkpoint) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.stale {
		l.kept = append([]checkpoints.Checkpoint{c}, l.kept...)
	}
	return !l.stale, nil
}

func (l *ledger) Abandon(_ context.Context, _ string, number int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.abandoned = append(l.abandoned, number)
	return nil
}

func (l *ledger) Kept(context.Context, string) ([]checkpoints.Checkpoint, error)    { return l.kept, nil }
func (l *ledger) Tried(context.Context, checkpoints.Checkpoint, int, string) error  { return nil }
func (l *ledger) Requests(context.Context, []string) ([]checkpoints.Request, error) { return nil, nil }
func (l *ledger) Answered(context.Context, checkpoints.Request) error               { return nil }
func (l *ledger) Done(context.Context, string) error                                { return nil }
func (l *ledger) Note(context.Context, eventlog.Event) error                        { return nil }

// slow is a store whose objects are created when the test says so.
type slow struct {
	*store.Store
	creating chan struct{}
	failures []error // of the next calls
}

func (s *slow) CreateFrom(ctx context.Context, key string, r io.Reader) (int64, error) {
	if s.creating != nil {
		s.creating <- struct{}{}
		<-s.creating
	}
	n, err := s.Store.CreateFrom(ctx, key, r)
	if len(s.failures) > 0 && err == nil {
		err, s.failures = s.failures[0], s.failures[1:]
	}
	return n, err
}

// away is a store that does not answer.
type away struct{ *store.Store }

func (away) Open(context.Context, string) (*store.Object, error) { return nil, store.ErrAway }

type place struct {
	cfg    Config
	ledger *ledger
	store  *slow
	log    *bytes.Buffer
}

func newPlace(t *testing.T) *place {
	t.Helper()
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "store"))
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	p := &place{ledger: &ledger{}, store: &slow{Store: s}, log: &bytes.Buffer{}}
	p.cfg = Config{
		Ledger: p.ledger, Store: p.store, Events: p.ledger, Job: "0199-ab", Attempt: 1, Node: "n", Dir: folder(t, "a"), Spool: filepath.Join(t.TempDir(), "spool"),
		Limit: 1 << 20, Log: p.log, Guard: func(f func()) { f() }, Logger: slog.New(slog.DiscardHandler), Backoff: retry.Backoff{Base: time.Millisecond, Max: time.Millisecond, Jitter: func() float64 { return 0 }},
	}
	return p
}

func (p *place) change(t *testing.T, text string) {
	t.Helper()
	must(t, os.WriteFile(p.cfg.Dir+"/new", []byte(text), 0o600))
	must(t, os.Rename(p.cfg.Dir+"/new", p.cfg.Dir+"/a"))
}

// Events that come while a checkpoint is stored are one more, of what is there then.
func TestEventsAreMerged(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.store.creating = make(chan struct{})
	k := New(p.cfg)
	defer k.Abort()
	k.Ask()
	<-p.store.creating
	for range 100 {
		k.Ask()
	}
	p.change(t, "newest")
	p.store.creating <- struct{}{}
	go func() { // of the second one
		<-p.store.creating
		p.store.creating <- struct{}{}
	}()
	k.Wait(t.Context())
	k.Ask() // too late
	if len(p.ledger.kept) != 2 || p.ledger.begun != 2 {
		t.Fatalf("%d begun, kept %+v", p.ledger.begun, p.ledger.kept)
	}
	next := newPlace(t)
	next.cfg.Ledger, next.cfg.Store, next.cfg.Dir = p.ledger, p.store.Store, t.TempDir()
	other := New(next.cfg)
	defer other.Abort()
	if restored, err := other.Restore(t.Context()); err != nil || !restored {
		t.Fatalf("%t, %v", restored, err)
	}
	if text, err := os.ReadFile(next.cfg.Dir + "/a"); string(text) != "newest" {
		t.Errorf("restored %q, %v", text, err)
	}
	if err := other.Last(t.Context()); !errors.Is(err, ErrSame) {
		t.Errorf("nothing new: %v", err)
	}
}

// What has not changed is not stored again.
func TestTheSameIsStoredOnce(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	k := New(p.cfg)
	defer k.Abort()
	k.Ask()
	if err := k.Last(t.Context()); err != nil || p.ledger.begun != 1 {
		t.Errorf("%d begun, %v", p.ledger.begun, err)
	}
}

// A checkpoint that may not be recorded leaves no object.
func TestStaleLeavesNothing(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.ledger.stale = true
	k := New(p.cfg)
	defer k.Abort()
	if err := k.Last(t.Context()); !errors.Is(err, ErrStale) || len(p.ledger.abandoned) != 1 {
		t.Errorf("%v, abandoned %v", err, p.ledger.abandoned)
	}
	if _, err := p.store.Open(t.Context(), store.CheckpointKey(p.cfg.Job, 1, 1)); !errors.Is(err, store.ErrNotExist) {
		t.Errorf("an object is left: %v", err)
	}
}

// A store that answers with an error after it has taken the object has it.
func TestLostAnswer(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.store.failures = []error{store.ErrAway}
	k := New(p.cfg)
	defer k.Abort()
	if err := k.Last(t.Context()); err != nil || len(p.ledger.kept) != 1 {
		t.Errorf("%v, kept %v", err, p.ledger.kept)
	}
}

// A store that does not answer has not lost the checkpoint: the program does not start.
func TestStoreAway(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	k := New(p.cfg)
	defer k.Abort()
	must(t, k.Last(t.Context()))
	p.cfg.Store, p.cfg.Dir = away{p.store.Store}, t.TempDir()
	other := New(p.cfg)
	defer other.Abort()
	if restored, err := other.Restore(t.Context()); restored || !errors.Is(err, store.ErrAway) {
		t.Errorf("%t, %v", restored, err)
	}
}

// The end of its context ends a packing.
func TestWaitEnds(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	k := New(p.cfg)
	defer k.Abort()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := k.Last(ctx); err == nil || len(p.ledger.kept) > 0 || !strings.Contains(p.log.String(), "a checkpoint is not kept: the time was over") {
		t.Errorf("%v, kept %v, log %q", err, p.ledger.kept, p.log)
	}
}
