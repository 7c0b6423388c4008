package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/sqlite"
	"github.com/runnerbean/runnerbean/internal/stracetest"
	"github.com/runnerbean/runnerbean/jobs"
)

// failureEnv makes the test binary write until the ledger refuses, and then once more.
const failureEnv = "LEDGER_TEST_FAILURE"

// passingEnv makes the test binary go on after a refusal.
const passingEnv = "LEDGER_TEST_PASSING"

func init() {
	if path := os.Getenv(failureEnv); path != "" {
		writeUntilRefused(path)
		os.Exit(0)
	}
	if path := os.Getenv(passingEnv); path != "" {
		writeThroughRefusals(path)
		os.Exit(0)
	}
}

func writeThroughRefusals(path string) {
	ctx := context.Background()
	l, err := Open(ctx, Config{DSN: "sqlite:" + path, Logger: slog.New(slog.NewTextHandler(os.Stdout, nil))})
	if err != nil {
		panic(err)
	}
	for range 2000 {
		e := entry(nil)
		if _, err = l.Accept(ctx, []Entry{e}); err != nil {
			fmt.Println("refused:", err)
			continue
		}
		fmt.Println("accepted", e.Job.ID)
	}
	fmt.Println("at the end:", err, l.Err())
}

// Faults that lose no write do not end the ledger, such as a disk that is full for a
// while.
func TestPassingDiskFaultEndsNothing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ file, inject string }{
		"disk full at a commit":     {"-wal", "pwrite64:error=ENOSPC:when=200"},
		"disk full at a checkpoint": {"", "pwrite64:error=ENOSPC:when=3"},
		"read at a checkpoint":      {"-wal", "pread64:error=ENOMEM:when=20"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := emptyLedger(t)
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), passingEnv+"="+path)
			printed, hit := stracetest.Inject(t, cmd, path+c.file, c.inject)
			if !hit {
				t.Fatal("no call was made to fail")
			}
			if !strings.Contains(printed, "at the end: <nil> <nil>\n") || !strings.Contains(printed, "refused:") && !strings.Contains(printed, "is not brought into its file yet") {
				t.Errorf("%s", printed[max(0, len(printed)-1000):])
			}
			wantAccepted(t, path, printed)
		})
	}
}

// emptyLedger makes and closes a ledger and returns its path.
func emptyLedger(t *testing.T) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "ledger.db")
	l, err := Open(t.Context(), Config{DSN: "sqlite:" + path})
	if err != nil || l.Close() != nil {
		t.Fatal(err)
	}
	return path
}

// wantAccepted opens a ledger again. It must have all answered jobs and accept more.
func wantAccepted(t *testing.T, path, printed string) {
	t.Helper()
	l, err := Open(t.Context(), Config{DSN: "sqlite:" + path})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for line := range strings.Lines(printed) {
		id, ok := strings.CutPrefix(strings.TrimSpace(line), "accepted ")
		if !ok {
			continue
		}
		if r, err := l.Get(t.Context(), id); err != nil || r.State != jobs.Queued {
			t.Errorf("%s was acknowledged: %s, %v", id, r.State, err)
		}
	}
	if _, err := l.Accept(t.Context(), []Entry{entry(nil)}); err != nil {
		t.Errorf("opened again: %v", err)
	}
}

func writeUntilRefused(path string) {
	ctx := context.Background()
	l, err := Open(ctx, Config{DSN: "sqlite:" + path, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		panic(err)
	}
	for range 3000 {
		e := entry(nil)
		if _, err = l.Accept(ctx, []Entry{e}); err != nil {
			break
		}
		fmt.Println("accepted", e.Job.ID)
	}
	fmt.Println("refused:", err)
	_, again := l.Accept(ctx, []Entry{entry(nil)})
	fmt.Println("reopen:", errors.Is(err, ErrReopen) && errors.Is(again, ErrReopen) && errors.Is(l.Err(), ErrReopen))
}

// Whatever call fails on the way to the disk, nothing more is written. Answered jobs are
// there when the ledger is opened again.
func TestFailedDiskEndsWriting(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ file, inject string }{
		"sync of the log":                  {"-wal", "fdatasync:error=EIO:when=10"},
		"sync of the log, disk full":       {"-wal", "fdatasync:error=ENOSPC:when=10"},
		"sync of the log by SQLite":        {"-wal", "fsync:error=EIO:when=1+"},
		"sync of the file at a checkpoint": {"", "fsync:error=EIO:when=1+"},
		"write at a commit":                {"-wal", "pwrite64:error=EIO:when=200"},
		"write at a checkpoint":            {"", "pwrite64:error=EIO:when=1+"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := emptyLedger(t)
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), failureEnv+"="+path)
			printed, hit := stracetest.Inject(t, cmd, path+c.file, c.inject)
			if !hit {
				t.Fatal("no call was made to fail")
			}
			if !strings.Contains(printed, "reopen: true\n") {
				t.Errorf("%s", printed[max(0, len(printed)-1000):])
			}
			wantAccepted(t, path, printed)
		})
	}
}

// A failed sync is not repeated.
func TestFailedSyncIsNotRepeated(t *testing.T) {
	t.Parallel()
	d := newFileFixture(t)
	d.must(d.Ledger.Close())
	syncs := 0
	d.Ledger = d.openWith(func(w *sqlite.Writer) {
		w.SyncLog = func(*os.File) error {
			if syncs++; syncs == 1 {
				return errors.New("broken disk")
			}
			return nil
		}
	})
	select {
	case <-d.Failed():
		t.Fatal("it has failed before it wrote")
	default:
	}
	e := entry(nil)
	if _, err := d.Accept(t.Context(), []Entry{e}); !errors.Is(err, ErrReopen) || !strings.Contains(err.Error(), "broken disk") {
		t.Errorf("%v", err)
	}
	<-d.Failed()
	for range 3 {
		if _, err := d.Accept(t.Context(), []Entry{entry(nil)}); !errors.Is(err, ErrReopen) {
			t.Errorf("%v", err)
		}
		if err := d.Nodes.Beat(t.Context(), "i1", nil, 1, nil); !errors.Is(err, ErrReopen) {
			t.Errorf("%v", err)
		}
	}
	if syncs != 1 {
		t.Errorf("%d syncs", syncs)
	}
	if _, err := d.Nodes.List(t.Context()); err != nil {
		t.Errorf("it cannot be read: %v", err)
	}
	d.must(d.Ledger.Close())
	d.Ledger = d.open()
	if a := d.put(e); a.Record.ID != e.Job.ID || d.Err() != nil {
		t.Errorf("%+v, %v", a, d.Err())
	}
}

// A claim is answered before the sync. If the sync fails, all later operations fail.
func TestClaimThatIsNotSynced(t *testing.T) {
	t.Parallel()
	d := newFileFixture(t)
	id := d.add(nil)
	d.must(d.Ledger.Close())
	d.Ledger = d.openWith(func(w *sqlite.Writer) { w.SyncLog = func(*os.File) error { return errors.New("broken disk") } })
	d.run(id)
	<-d.Failed()
	if _, err := d.Finish(t.Context(), id, 1, ending(jobs.Succeeded, jobs.OutcomeSucceeded)); !errors.Is(err, ErrReopen) {
		t.Errorf("%v", err)
	}
}

// An acceptance is shown after its commit and answered after its sync.
func TestAcceptEarlyBeforeTheSync(t *testing.T) {
	t.Parallel()
	d := newFileFixture(t)
	d.must(d.Ledger.Close())
	shown, synced, broken := make(chan struct{}), false, false
	d.Ledger = d.openWith(func(w *sqlite.Writer) {
		w.SyncLog = func(f *os.File) error {
			select {
			case <-shown:
			case <-time.After(10 * time.Second):
				t.Error("the acceptance is not shown before the sync")
			}
			if broken {
				return errors.New("broken disk")
			}
			synced = true
			return f.Sync()
		}
	})
	accept := func() error {
		e := entry(nil)
		_, err := AcceptEarly(t.Context(), d.Ledger, []Entry{e}, func(accepted []Accepted) {
			if r, err := d.Get(t.Context(), e.Job.ID); err != nil || r.State != jobs.Queued || !accepted[0].New {
				t.Errorf("%+v, %v", r, err)
			}
			close(shown)
		})
		return err
	}
	d.must(accept())
	if !synced {
		t.Error("answered before the sync")
	}
	shown, broken = make(chan struct{}), true
	if err := accept(); !errors.Is(err, ErrReopen) {
		t.Errorf("%v", err)
	}
}
