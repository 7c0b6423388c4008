package ledger

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/sqlite"
	"github.com/runnerbean/runnerbean/jobs"
)

// hold keeps the writer busy until release is called.
func (d *fixture) hold() (release func()) {
	started, end := make(chan struct{}), make(chan struct{})
	go func() {
		_ = d.do(context.Background(), &op{run: func(*txn) error {
			close(started)
			<-end
			return nil
		}})
	}()
	<-started
	return sync.OnceFunc(func() { close(end) })
}

// queueUp sends an operation and returns when it waits behind others.
func (d *fixture) queueUp(ctx context.Context, o *op) (result <-chan error) {
	waiting, c := len(d.queue.ops), make(chan error, 1)
	go func() { c <- d.do(ctx, o) }()
	d.until(func() bool { return len(d.queue.ops) > waiting })
	return c
}

func TestCallerGoesAwayBeforeItsTurn(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	release := d.hold()
	defer release()
	ctx, cancel := context.WithCancel(t.Context())
	ran := false
	result := d.queueUp(ctx, &op{run: func(*txn) error { ran = true; return nil }})
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	release()
	d.add(nil) // comes after it
	if ran {
		t.Error("an operation ran whose caller had been told that it did not")
	}
	if _, err := d.Accept(ctx, []Entry{entry(nil)}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestCallerGoesAwayTooLate(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	o := &op{run: func(tx *txn) error {
		cancel()
		select {
		case <-result:
			t.Error("the caller was answered before the commit")
		case <-time.After(20 * time.Millisecond):
		}
		tx.note("late", "", "", "")
		return nil
	}}
	go func() { result <- d.do(ctx, o) }()
	d.must(<-result)
	if list, err := d.Events.Newest(t.Context(), "", 0); err != nil || len(list) != 1 {
		t.Error(list, err)
	}
}

// One operation that fails after it has written undoes nothing of the others.
func TestFailureOfOneInABatch(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	release := d.hold()
	defer release()
	boom := errors.New("boom")
	write := func(id string, then error) *op {
		return &op{run: func(tx *txn) error {
			tx.note("did", id, "", "")
			if _, err := tx.Exec(qLeaveRemaining, id); err != nil {
				return err
			}
			return then
		}}
	}
	bad := &op{run: func(tx *txn) error { _, err := tx.Exec(qInsertNeed[len(qInsertNeed)-1], nil, "x", 0, 0, 0); return err }}
	// On PostgreSQL the statement of the next operation, or the commit, tells that it fails.
	queued := &op{run: func(tx *txn) error { return tx.Queue(qInsertNeed[len(qInsertNeed)-1], nil, "y", 0, 0, 0) }}
	results := []<-chan error{
		d.queueUp(t.Context(), write("a", nil)), d.queueUp(t.Context(), write("b", boom)),
		d.queueUp(t.Context(), bad), d.queueUp(t.Context(), queued), d.queueUp(t.Context(), write("c", nil)),
	}
	release()
	for i, want := range []string{"", "boom", "null", "null", ""} {
		err := <-results[i]
		if (err == nil) != (want == "") || err != nil && !strings.Contains(strings.ToLower(err.Error()), want) {
			t.Errorf("%d: %v, want %q", i, err, want)
		}
	}
	list, err := d.Events.Newest(t.Context(), "", 0)
	d.must(err)
	if len(list) != 2 {
		t.Errorf("%+v", list)
	}
}

func TestCloseDrains(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	release := d.hold()
	defer release()
	id := jobs.NewID()
	result := d.queueUp(t.Context(), &op{run: func(tx *txn) error { tx.note("kept", id, "", ""); return nil }})
	closed := make(chan error)
	go func() { closed <- d.Ledger.Close() }()
	d.until(d.queue.closing.Load)
	release()
	d.must(<-result)
	d.must(<-closed)
	d.must(d.Ledger.Close()) // again
	if _, err := d.Accept(t.Context(), []Entry{entry(nil)}); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	d.Ledger = d.open()
	if diff := cmp.Diff([]string{"kept"}, d.kinds(id)); diff != "" {
		t.Error(diff)
	}
}

var (
	qFewPages     = engine.NewQuery("PRAGMA max_page_count = 1") // means: as many as there are now
	qManyPages    = engine.NewQuery("PRAGMA max_page_count = 1000000")
	qNewerVersion = engine.NewQuery("UPDATE schema_version SET version = 999")
)

// A full disk makes operations fail, none half done. With space, work goes on.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	d := newFileFixture(t)
	d.add(nil)
	d.write(qFewPages)
	big := entry(nil)
	big.Document = []byte(`"` + strings.Repeat("x", 1<<19) + `"`)
	_, err := d.Accept(t.Context(), []Entry{entry(nil), big})
	if err == nil || !strings.Contains(err.Error(), "full") {
		t.Errorf("accepted on a full disk: %v", err)
	}
	d.recount()
	d.write(qManyPages)
	if a := d.put(big); !a.New {
		t.Errorf("%+v", a)
	}
	d.recount()
	d.sound()
}

func TestOnChange(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	var mu sync.Mutex
	var got []string
	remove := d.OnChange(func(ids []string) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, ids...)
	})
	id := d.add(nil)
	dependent := d.add(func(j *jobs.Job) { j.Needs = []string{id} })
	attempt := d.run(id)
	d.must(d.Report(t.Context(), id, attempt, Live{Message: "m"}))
	d.end(id, attempt, jobs.Succeeded, jobs.OutcomeSucceeded)
	_, err := d.Finish(t.Context(), id, attempt, ending(jobs.Failed, jobs.OutcomeError))
	if !errors.Is(err, ErrStale) {
		t.Error(err)
	}
	remove()
	d.add(nil)
	if diff := cmp.Diff([]string{id, dependent, id, id, id, dependent}, got); diff != "" {
		t.Error(diff)
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	for _, dsn := range []string{"", "postgres://x", "sqlite:", "sqlite:" + filepath.Join(t.TempDir(), "no", "such")} {
		if l, err := Open(t.Context(), Config{DSN: dsn}); err == nil {
			t.Errorf("%q: opened", dsn)
			_ = l.Close()
		}
	}
	d := newFileFixture(t)
	d.write(qNewerVersion)
	d.must(d.Ledger.Close())
	if _, err := Open(t.Context(), Config{DSN: "sqlite:" + d.path}); !errors.Is(err, sqlite.ErrNewer) {
		t.Error(err)
	}
	garbage := filepath.Join(t.TempDir(), "garbage ?#%41.db")
	d.must(os.WriteFile(garbage, []byte(strings.Repeat("not a database ", 100)), 0o600))
	if _, err := Open(t.Context(), Config{DSN: "sqlite:" + garbage}); err == nil {
		t.Error("garbage was opened")
	}
}

// Answered operations are on the disk, except soft ones.
func TestSyncBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	d := newFileFixture(t)
	syncs := make(chan struct{}, 100)
	broken := errors.New("broken disk")
	var fail error
	d.must(d.Ledger.Close())
	d.Ledger = d.openWith(func(w *sqlite.Writer) {
		w.SyncLog = func(f *os.File) error {
			if filepath.Base(f.Name()) != "ledger.db-wal" {
				t.Errorf("%s was synced", f.Name())
			}
			syncs <- struct{}{}
			return fail
		}
	})
	want := func(n int, what string) {
		t.Helper()
		for range n {
			select {
			case <-syncs:
			case <-time.After(20 * time.Second):
				t.Fatalf("%s: not synced", what)
			}
		}
		if len(syncs) > 0 {
			t.Errorf("%s: %d syncs more than %d", what, len(syncs), n)
		}
	}
	id := d.add(nil)
	want(1, "accept")
	d.must(d.MarkSent(t.Context(), []Sent{{ID: id, Server: "s"}}))
	want(0, "mark")
	d.run(id)
	want(1, "claim, soon")
	d.must(d.Report(t.Context(), id, 1, Live{Message: "m"}))
	d.must(d.Nodes.Beat(t.Context(), "i1", nil, 1, nil))
	want(0, "report and beat")
	d.end(id, 1, jobs.Succeeded, jobs.OutcomeSucceeded)
	want(1, "finish")
	if _, err := d.Claim(t.Context(), id, Owner{}, ""); err != nil {
		t.Error(err)
	}
	want(0, "refused claim")
	fail = broken
	if _, err := d.Accept(t.Context(), []Entry{entry(nil)}); !errors.Is(err, broken) {
		t.Error(err)
	}
}

func TestWaitsForAnotherWriter(t *testing.T) {
	t.Parallel()
	d := newFileFixture(t)
	other := &fixture{Ledger: d.open(), t: t, clock: d.clock, path: d.path, dsn: d.dsn}
	t.Cleanup(func() { _ = other.Ledger.Close() })
	hasty := d.openWith(func(w *sqlite.Writer) { w.Patience = 10 * time.Millisecond })
	t.Cleanup(func() { _ = hasty.Close() })
	release := d.hold()
	defer release()
	a := entry(nil)
	if _, err := hasty.Accept(t.Context(), []Entry{a}); !sqlite.IsBusy(err) {
		t.Errorf("it wrote while another process did: %v", err)
	}
	// A caller that gives up returns, even while its transaction waits to begin.
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := other.Accept(ctx, []Entry{a}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("it was not let go: %v", err)
	}
	release()
	if got := other.put(a); !got.New {
		t.Errorf("%+v", got)
	}
	d.record(a.Job.ID)
}

func TestOpenThroughALink(t *testing.T) {
	t.Parallel()
	d := newFileFixture(t)
	link := filepath.Join(t.TempDir(), "link.db")
	d.must(os.Symlink(d.path, link))
	other, err := Open(t.Context(), Config{DSN: "sqlite:" + link, Now: d.clock.now})
	d.must(err)
	defer other.Close()
	id := d.add(nil)
	if _, err := other.Get(t.Context(), id); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(link + "-wal"); err == nil {
		t.Error("a log stands beside the link")
	}
}

// Nodes that start together on a new file all open it.
func TestOpenTogether(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "new.db")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			l, err := Open(t.Context(), Config{DSN: "sqlite:" + path})
			if err != nil {
				t.Error(err)
				return
			}
			if err := takeOne(t.Context(), l); err != nil {
				t.Error(err)
			}
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}
