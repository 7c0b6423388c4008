package ledger

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
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
	// Their documents are known: a client may put them again.
	for document, want := range map[string]error{"{}": nil, ` {"program":"other"}`: ErrConflict} {
		a := d.put(Entry{Job: jobs.Job{ID: "s", Program: "p"}, Document: []byte(document)})
		if a.New || !errors.Is(a.Err, want) || string(a.Record.Document) != "{}" {
			t.Errorf("%s: %+v", document, a)
		}
	}
	// The jobs go on.
	if c, err := l.Claim(t.Context(), "q", Owner{Instance: "i", Node: "n2"}, ""); err != nil || string(c.Record.Document) != "{}" {
		t.Error(c, err)
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

// A program from before schema 5 that stood still during the upgrade can neither register
// again nor claim a job when it goes on, and its job is taken back at once.
func TestOldProgramTakesNothingAfterAnUpgrade(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "old.db")
	oldLedger(t, path)
	const register = `INSERT INTO nodes (instance, name, base_url, version, slots, started, beat, left_at, programs, home) VALUES ('i1', 'n1', '', '', 1, 1, 1, 0, '', 'h1')
		ON CONFLICT (instance) DO UPDATE SET beat = excluded.beat, left_at = 0`
	execute(t, path, register, "UPDATE jobs SET state = 'running', attempt = 1, instance = 'i1', node = 'n1' WHERE id = 's'")
	l, err := Open(t.Context(), Config{DSN: "sqlite:" + path, Upgrade: Upgrade{Home: "h1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	db, err := sql.Open("sqlite", patient(path))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, statement := range []string{register, "UPDATE jobs SET state = 'running', attempt = 1, instance = 'i1' WHERE id = 'q' AND state = 'queued'"} {
		if _, err := db.Exec(statement); err == nil || !strings.Contains(err.Error(), "too old for its ledger") {
			t.Errorf("%s: %v", statement, err)
		}
	}
	if r, err := db.Exec("UPDATE nodes SET beat = 2, slots = 1 WHERE instance = 'i1' AND left_at = 0"); err != nil || rowsAffected(r) != 0 {
		t.Errorf("it beats: %v", err)
	}
	if dead, err := l.Nodes.Dead(t.Context()); err != nil || !slices.Equal(dead, []string{"i1"}) {
		t.Errorf("dead %v, %v", dead, err)
	}
	if _, err := l.Claim(t.Context(), "q", Owner{Instance: "i2", Node: "n2"}, ""); err != nil {
		t.Errorf("the new program: %v", err)
	}
}

func rowsAffected(r sql.Result) int64 {
	n, err := r.RowsAffected()
	if err != nil {
		return -1
	}
	return n
}

// A ledger that a newer program upgrades while it is open takes no more writes.
func TestLedgerTakesNothingOnceItIsTooNew(t *testing.T) {
	t.Parallel()
	d := newFileFixture(t)
	id := d.add(nil)
	execute(t, d.path, "UPDATE schema_version SET version = 99")
	if _, err := d.Claim(t.Context(), id, Owner{Instance: "i1", Node: "n1"}, ""); !errors.Is(err, ErrReopen) || !errors.Is(err, ErrNewer) {
		t.Errorf("claim: %v", err)
	}
	select {
	case <-d.Failed():
	default:
		t.Error("nobody is told")
	}
	execute(t, d.path, "UPDATE schema_version SET version = 1") // what it was is of no account
	if err := d.Nodes.Beat(t.Context(), "i1", nil, 1, nil); !errors.Is(err, ErrNewer) {
		t.Errorf("beat: %v", err)
	}
	if r, err := d.Get(t.Context(), id); err != nil || r.State != jobs.Queued {
		t.Errorf("%s, %v", r.State, err)
	}
}

// patient returns the address of a file whose connections wait for other writers. A ledger
// may write for a moment after Open and after an operation.
func patient(path string) string { return "file:" + path + "?_pragma=busy_timeout(60000)" }

// onlySQLite matches the parts of a migration that are a comment to other engines.
var onlySQLite = regexp.MustCompile(`/\*sqlite: (.*?) \*/`)

// execute runs statements on a file. It waits for the writer of a ledger that is open.
func execute(t *testing.T, path string, texts ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", patient(path))
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
