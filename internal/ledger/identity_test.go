package ledger

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/sqlite"
	"github.com/runnerbean/runnerbean/jobs"
)

// The id of a ledger never changes, and no two ledgers have the same.
func TestIdentity(t *testing.T) {
	t.Parallel()
	a, b := newFixture(t), newFixture(t)
	if !regexp.MustCompile(`^[a-z2-7]{10}$`).MatchString(a.ID()) || a.ID() == b.ID() {
		t.Errorf("ids %q and %q", a.ID(), b.ID())
	}
	read := func(dsn string) string {
		t.Helper()
		seen, err := Peek(t.Context(), dsn)
		a.must(err)
		return seen.ID
	}
	again := a.open()
	if again.ID() != a.ID() || read(a.dsn) != a.ID() {
		t.Errorf("%q, opened again %q, read %q", a.ID(), again.ID(), read(a.dsn))
	}
	a.must(again.Close())
	a.must(a.Close())
	// A read by another user must not create files that the node cannot write.
	before, err := os.ReadDir(filepath.Dir(a.path))
	a.must(err)
	if id := read(a.dsn); id != a.ID() {
		t.Errorf("closed: %q", id)
	}
	if after, err := os.ReadDir(filepath.Dir(a.path)); err != nil || len(after) != len(before) {
		t.Errorf("files %v, before %v, %v", after, before, err)
	}
	if id := read("sqlite:" + filepath.Join(t.TempDir(), "none.db")); id != "" {
		t.Errorf("of nothing: %q", id)
	}
	old := filepath.Join(t.TempDir(), "old.db")
	oldLedger(t, old)
	if id := read("sqlite:" + old); id != "" {
		t.Errorf("of an old ledger: %q", id)
	}
	if seen, err := Peek(t.Context(), "sqlite:"+t.TempDir()); err == nil {
		t.Errorf("of a folder: %+v", seen)
	}
}

// Queued jobs of schema version 3 have messages on tubes that no node reads any more.
// They get new messages. Running jobs go on.
func TestUpgradePutsMessagesAnew(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "old.db")
	oldLedger(t, path)
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	third, err := os.ReadFile("sqlite/migrations/0003_overview.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		onlySQLite.ReplaceAllString(string(third), "$1"), "UPDATE schema_version SET version = 3",
		"UPDATE jobs SET server = 'before', message = 7, not_before = 99 WHERE id = 'q'",
		"UPDATE jobs SET state = 'running', attempt = 1, instance = 'i1', node = 'n1' WHERE id = 's'",
	} {
		if _, err := db.Exec(text); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := Open(t.Context(), Config{DSN: "sqlite:" + path})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	list, _, err := l.Unsent(t.Context(), []string{"before"}, time.Now(), 10)
	if err != nil || len(list) != 1 || list[0].ID != "q" || list[0].Server != "" || list[0].Message != 0 {
		t.Errorf("without a message: %+v, %v", list, err)
	}
	if r, err := l.Get(t.Context(), "s"); err != nil || r.State != jobs.Running || r.Attempt != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	if len(l.ID()) != sqlite.IDLength {
		t.Errorf("id %q", l.ID())
	}
}

// A ledger without an id is not opened, because its jobs have messages under the old id.
func TestLostIdentity(t *testing.T) {
	t.Parallel()
	d := newFileFixture(t)
	d.must(d.Close())
	db, err := sql.Open("sqlite", d.path)
	d.must(err)
	_, err = db.Exec("DELETE FROM identity")
	d.must(errors.Join(err, db.Close()))
	if l, err := Open(t.Context(), Config{DSN: "sqlite:" + d.path}); err == nil {
		l.Close()
		t.Error("it is opened")
	}
}
