package ledger

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/internal/ledger/listing"
	"github.com/runnerbean/runnerbean/jobs"
)

// A ledger of an earlier version opens, with its jobs counted and listed.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "old.db")
	oldLedger(t, path)
	l, err := Open(t.Context(), Config{DSN: "sqlite:" + path})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	d := &fixture{t: t, Ledger: l, path: path}
	d.recount()
	for _, f := range []listing.Filter{{State: jobs.Queued}, {State: jobs.Succeeded}, {Node: "n1"}, {State: jobs.Failed}, {State: jobs.Failed, Node: "n1"}} {
		list := d.pages(f)
		if len(list) != 1 || f.State != "" && list[0].State != f.State {
			t.Errorf("%+v: %+v", f, list)
		}
	}
	// The jobs go on.
	if _, err := l.Claim(t.Context(), "q", Owner{Instance: "i", Node: "n2"}, ""); err != nil {
		t.Error(err)
	}
	_, err = l.Finish(t.Context(), "q", 1, ending(jobs.Succeeded, jobs.OutcomeSucceeded))
	d.must(err)
	d.recount()
	b, err := l.Backlog(t.Context())
	d.must(err)
	if diff := cmp.Diff(Backlog{}, b); diff != "" {
		t.Error(diff)
	}
}

// onlySQLite matches the parts of a migration that are a comment to other engines.
var onlySQLite = regexp.MustCompile(`/\*sqlite: (.*?) \*/`)

// execute runs statements on a file without a ledger.
func execute(t *testing.T, path string, texts ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, text := range texts {
		if _, err := db.Exec(text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
}

// oldLedger makes a ledger with version 2 of the schema.
func oldLedger(t *testing.T, path string) {
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	exec := func(text string, args ...any) {
		t.Helper()
		if _, err := db.Exec(text, args...); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"0001_first.sql", "0002_controls.sql"} {
		text, err := os.ReadFile(filepath.Join("sqlite", "migrations", name))
		if err != nil {
			t.Fatal(err)
		}
		exec(onlySQLite.ReplaceAllString(string(text), "$1"))
	}
	exec("CREATE TABLE schema_version (version BIGINT NOT NULL)")
	exec("INSERT INTO schema_version (version) VALUES (2)")
	for i, state := range []string{"queued", "succeeded", "failed"} {
		node := ""
		if state == "failed" {
			node = "n1"
		}
		exec(fmt.Sprintf(`INSERT INTO jobs VALUES ('%c', 'p', ?, 1, 1, %d, 0, 0, 1, 1, 1, 0, 0, 0, 0, ?, 'i', '', '', 0, '', 0, 0, '', 0, '', '', '')`,
			state[0], i+1), state, node)
		exec(fmt.Sprintf("INSERT INTO documents VALUES ('%c', x'00', '{}')", state[0]))
	}
	exec("UPDATE counts SET queued = 1, succeeded = 1, failed = 1")
}
