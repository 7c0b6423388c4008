package ledger

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/runnerbean/runnerbean/internal/ledger/sqlite"
	"github.com/runnerbean/runnerbean/jobs"
)

// left returns the names of the files beside a ledger.
func left(t *testing.T, path string) (names []string) {
	t.Helper()
	list, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

// The last process that closes a ledger leaves everything in one file.
func TestCleanStopLeavesOneCompleteFile(t *testing.T) {
	t.Parallel()
	d := newFileFixture(t)
	other := d.open()
	id := d.add(nil)
	if _, err := other.Get(t.Context(), id); err != nil { // the reader has statements, too
		t.Fatal(err)
	}
	d.must(d.Close())
	if _, err := other.Accept(t.Context(), []Entry{entry(nil)}); err != nil {
		t.Errorf("the other process cannot go on: %v", err)
	}
	d.must(other.Close())
	if files := left(t, d.path); !slices.Equal(files, []string{"ledger.db", "ledger.db-turn"}) {
		t.Errorf("files after a clean stop: %v", files)
	}
	// The file alone is the whole ledger.
	content, err := os.ReadFile(d.path)
	d.must(err)
	copied := filepath.Join(t.TempDir(), "copy.db")
	d.must(os.WriteFile(copied, content, 0o600))
	l, err := Open(t.Context(), Config{DSN: "sqlite:" + copied})
	d.must(err)
	defer l.Close()
	if r, err := l.Get(t.Context(), id); err != nil || r.State != jobs.Queued {
		t.Errorf("in the copy: %s, %v", r.State, err)
	}
}

// After a lost write nothing of the log goes to the file, not even at the end.
func TestStopAfterALostWriteLeavesTheLog(t *testing.T) {
	t.Parallel()
	d := newFileFixture(t)
	broken := d.openWith(func(w *sqlite.Writer) { w.SyncLog = func(*os.File) error { return errors.New("lost") } })
	d.must(d.Close())
	if _, err := broken.Accept(t.Context(), []Entry{entry(nil)}); !errors.Is(err, ErrReopen) {
		t.Fatalf("%v, want ErrReopen", err)
	}
	d.must(broken.Close())
	if info, err := os.Stat(d.path + "-wal"); err != nil || info.Size() == 0 {
		t.Errorf("the log was touched: %v", err)
	}
}

// A database of another program is refused and keeps its tables only.
func TestForeignDatabaseIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "other.db")
	execute(t, path, "CREATE TABLE bookmarks (url TEXT)")
	if l, err := Open(t.Context(), Config{DSN: "sqlite:" + path}); err == nil {
		_ = l.Close()
		t.Error("it is opened")
	}
}
