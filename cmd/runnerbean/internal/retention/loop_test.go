package retention

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/runnerbean/runnerbean/internal/keepspan"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/internal/ledger/listing"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/internal/ledger/retention"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
)

// killEnv names the folder in which the test binary deletes until it is killed.
const killEnv = "RETENTION_TEST_DELETE_UNTIL_KILLED"

func TestMain(m *testing.M) {
	if dir := os.Getenv(killEnv); dir != "" {
		deleteUntilKilled(dir)
		return
	}
	goleak.VerifyTestMain(m)
}

const age = 48 * time.Hour

// place is a ledger and a store in one folder, whose clock is ahead by a span.
type place struct {
	t      *testing.T
	dir    string
	ledger *ledger.Ledger
	store  *store.Store
}

func open(dir string, ahead time.Duration) (*ledger.Ledger, *store.Store, error) {
	l, err := ledger.Open(context.Background(), ledger.Config{
		DSN: "sqlite:" + filepath.Join(dir, "ledger.db"), Logger: slog.New(slog.DiscardHandler),
		Now: func() time.Time { return time.Now().Add(ahead) },
	})
	if err != nil {
		return nil, nil, err
	}
	s, err := store.Open(context.Background(), filepath.Join(dir, "store"))
	return l, s, errors.Join(err)
}

func newPlace(t *testing.T, dir string, ahead time.Duration) *place {
	t.Helper()
	p := &place{t: t, dir: dir}
	var err error
	p.ledger, p.store, err = open(dir, ahead)
	p.must(err)
	t.Cleanup(p.close)
	return p
}

func (p *place) close() {
	if p.ledger != nil {
		p.must(errors.Join(p.store.Close(), p.ledger.Close()))
	}
	p.ledger = nil
}

func (p *place) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// fill makes n succeeded jobs with objects, and returns their ids.
func (p *place) fill(n int, change func(i int, j *jobs.Job)) (ids []string) {
	p.t.Helper()
	ctx := p.t.Context()
	p.must(p.ledger.Nodes.Register(ctx, nodes.Node{Name: "n", Instance: "i"}))
	var entries []ledger.Entry
	for i := range n {
		j := jobs.Job{ID: jobs.NewID(), Program: "p", Labels: map[string]string{"a": "b"}}
		if change != nil {
			change(i, &j)
		}
		entries = append(entries, ledger.Entry{Job: j, Document: fmt.Appendf(nil, `{"id":%q}`, j.ID)})
		ids = append(ids, j.ID)
	}
	_, err := p.ledger.Accept(ctx, entries)
	p.must(err)
	for _, id := range ids {
		c, err := p.ledger.Claim(ctx, id, ledger.Owner{Instance: "i", Node: "n"}, "")
		p.must(err)
		for _, key := range keysOf(id) {
			p.must(p.store.Create(ctx, key, []byte("x")))
		}
		_, err = p.ledger.Finish(ctx, id, c.Record.Attempt, ledger.Ending{State: jobs.Succeeded, Outcome: jobs.OutcomeSucceeded})
		p.must(err)
	}
	return ids
}

// keysOf returns the keys of the objects that fill makes.
func keysOf(id string) []string {
	return []string{store.ResultKey(id), store.LogKey(id, 1), store.FileKey(id, 1, "a/b")}
}

// objects returns how many objects of a job are in the store.
func (p *place) objects(id string) (n int) {
	p.t.Helper()
	for _, key := range keysOf(id) {
		o, err := p.store.Open(p.t.Context(), key)
		if err == nil {
			n++
			p.must(o.Close())
		} else if !errors.Is(err, store.ErrNotExist) {
			p.t.Fatal(err)
		}
	}
	return n
}

// whole checks that a job is there completely, or deleted. It reports whether nothing of
// it is left to be removed.
func (p *place) whole(id string, removals map[string]bool) (gone bool) {
	p.t.Helper()
	ctx := p.t.Context()
	r, err := p.ledger.Get(ctx, id)
	attempts, failed := p.ledger.Attempts(ctx, id)
	p.must(failed)
	switch n := p.objects(id); {
	case err == nil:
		if n != 3 || r.State != jobs.Succeeded || len(r.Document) == 0 || len(r.Labels) != 1 || len(attempts) != 1 {
			p.t.Errorf("half of a job is left: %d objects, %d attempts, %+v", n, len(attempts), r)
		}
		return false
	case !errors.Is(err, retention.ErrDeleted):
		p.t.Errorf("get: %v", err)
	case len(attempts) != 0:
		p.t.Errorf("%d attempts of a deleted job", len(attempts))
	case n > 0 && !removals[id]:
		p.t.Errorf("%d objects of a deleted job will never be removed", n)
	}
	return !removals[id]
}

func (p *place) removals() map[string]bool {
	p.t.Helper()
	all := map[string]bool{}
	for after := ""; ; {
		page, err := p.ledger.Retention.Removals(p.t.Context(), after)
		p.must(err)
		if len(page) == 0 {
			return all
		}
		for _, v := range page {
			all[v.Job] = true
			after = v.Job
		}
	}
}

func (p *place) loop(keep string) *Loop {
	k, err := keepspan.Parse(keep)
	p.must(err)
	return &Loop{Ledger: p.ledger, Store: p.store, Node: "n", Instance: "i", Keep: k, Logger: slog.New(slog.DiscardHandler)}
}

func TestARoundDeletesWhatIsDueAndTheNextRemovesItsObjects(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := newPlace(t, dir, 0)
	ids := p.fill(120, func(i int, j *jobs.Job) {
		if i%4 == 0 {
			j.Keep = jobs.Keep{Succeeded: jobs.Forever}
		}
	})
	p.must(p.loop("1d").Round(t.Context()))
	if n := len(p.removals()); n > 0 {
		t.Fatalf("%d jobs were deleted that had just ended", n)
	}
	p.close()
	p = newPlace(t, dir, age)
	l := p.loop("1d")
	p.must(l.Round(t.Context()))
	removals := p.removals()
	if len(removals) != 90 {
		t.Errorf("%d jobs were deleted, want 90", len(removals))
	}
	for i, id := range ids {
		if removals[id] != (i%4 != 0) {
			t.Errorf("job %d deleted: %v", i, removals[id])
		}
	}
	p.must(l.Round(t.Context()))
	if n := len(p.removals()); n > 0 {
		t.Errorf("%d removals are left", n)
	}
	for i, id := range ids {
		if gone := p.whole(id, nil); gone != (i%4 != 0) {
			t.Errorf("job %d is gone: %v", i, gone)
		}
	}
	events, err := p.ledger.Events.Newest(t.Context(), "", 10)
	p.must(err)
	told := slices.ContainsFunc(events, func(e eventlog.Event) bool {
		return e.Kind == eventlog.KindDeleted && strings.HasPrefix(e.Message, "90 jobs were deleted") && strings.HasSuffix(e.Message, "p 90")
	})
	if !told || len(events) != 1 {
		t.Errorf("events %+v", events)
	}
}

func TestAnotherNodeDeletesAtOnceAfterAStop(t *testing.T) {
	t.Parallel()
	p := newPlace(t, t.TempDir(), 0)
	first := p.loop("1d")
	p.must(first.Round(t.Context()))
	if mine, err := p.ledger.Retention.Take(t.Context(), "other", duty); err != nil || mine {
		t.Fatalf("two have the duty: %v", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	p.must(first.Run(ctx))
	if mine, err := p.ledger.Retention.Take(t.Context(), "other", duty); err != nil || !mine {
		t.Errorf("nobody can take the duty of a node that has stopped: %v", err)
	}
}

func TestObjectsThatCannotBeRemovedHoldUpNoOthers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := newPlace(t, dir, 0)
	ids := p.fill(20, func(_ int, j *jobs.Job) { j.Keep = jobs.Keep{Succeeded: 1} })
	l := p.loop("")
	stuck := filepath.Join(dir, "store", store.ResultKey(ids[7]))
	p.must(os.Remove(stuck))
	p.must(os.MkdirAll(filepath.Join(stuck, "x"), 0o700))
	p.must(l.Round(t.Context()))
	if err := l.Round(t.Context()); err == nil {
		t.Error("nothing says that an object cannot be removed")
	}
	if left := p.removals(); len(left) != 1 || !left[ids[7]] {
		t.Errorf("left are %v, want %s", left, ids[7])
	}
	p.must(os.RemoveAll(stuck))
	p.must(l.Round(t.Context()))
	if left := p.removals(); len(left) > 0 {
		t.Errorf("left are %v", left)
	}
}

// deleteUntilKilled deletes all jobs of the program p, those of one half by hand.
func deleteUntilKilled(dir string) {
	l, s, err := open(dir, age)
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	loop := &Loop{Ledger: l, Store: s, Node: "n", Instance: "i", Logger: slog.New(slog.DiscardHandler)}
	for _, err := fmt.Println("ready"); err == nil; {
		page, err := l.List(ctx, listing.Filter{State: jobs.Succeeded, Label: "hand=yes", Limit: 20})
		if err != nil {
			panic(err)
		}
		var targets []ledger.Target
		for _, r := range page.Jobs {
			targets = append(targets, ledger.Target{ID: r.ID})
		}
		if _, err := l.Act(ctx, ledger.VerbDelete, "Ann", targets); err != nil {
			panic(err)
		}
		if err := loop.Round(ctx); err != nil {
			panic(err)
		}
	}
}

// TestKilledWhileDeleting kills a process that deletes again and again, and looks at
// every job after each kill.
func TestKilledWhileDeleting(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := newPlace(t, dir, 0)
	ids := p.fill(200, func(i int, j *jobs.Job) {
		if i%2 == 0 {
			j.Keep = jobs.Keep{Succeeded: jobs.Duration(time.Hour)}
			return
		}
		j.Labels = map[string]string{"hand": "yes"}
	})
	p.close()
	gone, partly, done := 0, 0, 0
	limit := 400 * time.Millisecond
	for gone < len(ids) {
		kill(t, dir, rand.N(limit))
		p = newPlace(t, dir, age)
		removals := p.removals()
		gone = 0
		for _, id := range ids {
			if p.whole(id, removals) {
				gone++
			}
		}
		if gone > 0 && gone < len(ids) || len(removals) > 0 {
			partly++
		}
		if 2*gone+len(removals) == done {
			limit *= 2 // the machine is too busy for a step before the kill
		}
		done = 2*gone + len(removals)
		if counts, err := p.ledger.Activity.Counts(t.Context()); err != nil || counts[jobs.Succeeded] != len(ids)-gone-len(removals) {
			t.Errorf("counts %v, %v; %d gone, %d to be removed", counts, err, gone, len(removals))
		}
		p.close()
		if t.Failed() {
			return
		}
	}
	if partly < 2 {
		t.Errorf("only %d kills came in the middle", partly)
	}
}

// kill runs deleteUntilKilled for a time.
func kill(t *testing.T, dir string, after time.Duration) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), killEnv+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var ready [5]byte
	if _, err := out.Read(ready[:]); err != nil {
		t.Error(err)
	}
	time.Sleep(after) // any moment is a good one
	if err := cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = cmd.Wait()
}
