package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/postgres/postgrestest"
	"github.com/runnerbean/runnerbean/internal/ledger/sqlite"
)

var server *postgrestest.Server

func TestMain(m *testing.M) {
	var err error
	if server, err = postgrestest.Start(); err != nil {
		panic(err)
	}
	code := m.Run()
	server.Stop()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func newURL(t *testing.T) string {
	t.Helper()
	url, err := server.NewSchema()
	if err != nil {
		t.Fatal(err)
	}
	return url
}

func open(t *testing.T, url string) engine.Database {
	t.Helper()
	db, err := Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// Nodes that start at the same time make the tables once and agree on the id.
func TestConcurrentMigrations(t *testing.T) {
	t.Parallel()
	url := newURL(t)
	ids := make(chan string)
	for range 8 {
		go func() {
			db, err := Open(context.Background(), url)
			if err == nil {
				err = db.Close()
			}
			if err != nil {
				db.ID = err.Error()
			}
			ids <- db.ID
		}()
	}
	var list []string
	for range 8 {
		list = append(list, <-ids)
	}
	if len(list[0]) != sqlite.IDLength || len(slices.Compact(list)) != 1 {
		t.Errorf("ids %q", list)
	}
	if id, err := ReadID(t.Context(), url); err != nil || id != list[0] {
		t.Errorf("read %q, %v", id, err)
	}
}

func TestReadIDOfNothing(t *testing.T) {
	t.Parallel()
	if id, err := ReadID(t.Context(), newURL(t)); err != nil || id != "" {
		t.Errorf("%q, %v", id, err)
	}
}

var (
	qAdd  = &engine.Query{Text: "UPDATE schema_version SET version = version + ?"}
	qRead = &engine.Query{Text: "SELECT version FROM schema_version"}
)

// Writers of one ledger take turns from Begin to Commit, and those of two do not wait.
func TestWritersTakeTurns(t *testing.T) {
	t.Parallel()
	url := newURL(t)
	a, b, other := open(t, url).Writer, open(t, url).Writer, open(t, newURL(t)).Writer
	must(t, a.Begin())
	began := make(chan error)
	go func() { began <- b.Begin() }()
	must(t, other.Begin())
	must(t, other.Commit())
	_, err := a.Exec(qAdd, -1)
	must(t, err)
	select {
	case err := <-began:
		t.Errorf("it has begun: %v", err)
	default:
	}
	must(t, a.Commit())
	must(t, <-began)
	version := 0
	if _, err := b.Row(qRead, nil, &version); err != nil || version != sqlite.Schema()-1 {
		t.Errorf("it reads version %d, %v", version, err)
	}
	b.Rollback()
}

// A newer program may upgrade the tables while this one waits for its turn.
func TestNewerSchema(t *testing.T) {
	t.Parallel()
	url := newURL(t)
	a, b := open(t, url).Writer, open(t, url).Writer
	must(t, a.Begin())
	began := make(chan error)
	go func() { began <- b.Begin() }()
	_, err := a.Exec(qAdd, 1)
	must(t, err)
	must(t, a.Commit())
	if err := <-began; !errors.Is(err, sqlite.ErrNewer) {
		t.Error(err)
	}
	if _, err := Open(t.Context(), url); !errors.Is(err, sqlite.ErrNewer) {
		t.Errorf("opened: %v", err)
	}
}

// A connection that PostgreSQL ends is replaced, and what was not committed is gone.
func TestLostConnection(t *testing.T) {
	t.Parallel()
	url := newURL(t)
	db := open(t, url)
	w := db.Writer
	must(t, w.Begin())
	_, err := w.Exec(qAdd, -1)
	must(t, err)
	pid := 0
	_, err = w.Row(&engine.Query{Text: "SELECT pg_backend_pid()"}, nil, &pid)
	must(t, err)
	other, err := sql.Open("pgx", url)
	must(t, err)
	defer other.Close()
	_, err = other.Exec("SELECT pg_terminate_backend($1)", pid)
	must(t, err)
	if err := w.Commit(); err == nil {
		t.Error("it was committed")
	}
	w.Rollback()
	must(t, w.Begin())
	version := 0
	if _, err := w.Row(qRead, nil, &version); err != nil || version != sqlite.Schema() {
		t.Errorf("version %d, %v", version, err)
	}
	w.Rollback()
	if _, err := w.Exec(qAdd, -1); !errors.Is(err, errNoTransaction) {
		t.Errorf("outside of a transaction: %v", err)
	}
}

// The number changes with transactions of others, not with those of this process.
func TestVersion(t *testing.T) {
	t.Parallel()
	url := newURL(t)
	a, b := open(t, url).Writer, open(t, url).Writer
	before := a.Version()
	must(t, a.Begin())
	must(t, a.Commit())
	must(t, a.Sync())
	if now := a.Version(); now != before {
		t.Errorf("its own: %d, %d", before, now)
	}
	must(t, b.Begin())
	must(t, b.Commit())
	if now := a.Version(); now == before {
		t.Error("a transaction of another is not noticed")
	}
}

// Sync returns when the log on the disk holds all commits before it.
func TestSync(t *testing.T) {
	t.Parallel()
	for _, setting := range []string{"on", "off"} {
		url := newURL(t)
		w := open(t, url+"&synchronous_commit="+setting).Writer
		other, err := sql.Open("pgx", url)
		must(t, err)
		defer other.Close()
		for range 20 { // the log may go to the disk by itself
			must(t, w.Begin())
			_, err := w.Exec(qAdd, 0)
			must(t, err)
			must(t, w.Commit())
			end, flushed := "", false
			must(t, other.QueryRow("SELECT pg_current_wal_insert_lsn()").Scan(&end))
			must(t, w.Sync())
			must(t, other.QueryRow("SELECT pg_current_wal_flush_lsn() >= $1::pg_lsn", end).Scan(&flushed))
			if !flushed {
				t.Fatalf("synchronous_commit %s: Sync has returned before the disk has the log", setting)
			}
		}
	}
}

// A snapshot sees no later commits.
func TestSnapshot(t *testing.T) {
	t.Parallel()
	db := open(t, newURL(t))
	s, err := db.Snapshot(t.Context())
	must(t, err)
	defer s.Close(t.Context())
	read := func(r engine.Reader) (version int) {
		_, err := r.Row(t.Context(), qRead, nil, &version)
		must(t, err)
		return version
	}
	first := read(s)
	must(t, db.Writer.Begin())
	_, err = db.Writer.Exec(qAdd, -1)
	must(t, err)
	must(t, db.Writer.Commit())
	if in, after := read(s), read(db.Reader); in != first || after != first-1 {
		t.Errorf("first %d, in the snapshot %d, after it %d", first, in, after)
	}
}

// Errors of bad URLs and refused passwords do not hold the password.
func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"postgres://me:secret@127.0.0.1:1/db", "postgres://me:secret@%zz", "postgres://me:secret@host:port/db",
		strings.Replace(server.URL("none"), "postgres@", "nobody-known:secret@", 1),
	} {
		_, err := Open(t.Context(), url)
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%v", err)
		}
		if _, err := ReadID(t.Context(), url); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%v", err)
		}
	}
}

// Text is compared byte by byte, whatever the collation of the database.
func TestOrderOfText(t *testing.T) {
	t.Parallel()
	db := open(t, newURL(t))
	must(t, db.Writer.Begin())
	for _, id := range []string{"b", "a", "B", "é", "_"} {
		_, err := db.Writer.Exec(&engine.Query{Text: "INSERT INTO unsettled (job) VALUES (?)"}, id)
		must(t, err)
	}
	must(t, db.Writer.Commit())
	got := ""
	must(t, db.Reader.Each(t.Context(), &engine.Query{Text: "SELECT job FROM unsettled ORDER BY job"}, nil, func(r engine.Row) error {
		var id string
		err := r.Scan(&id)
		got += id
		return err
	}))
	if got != "B_abé" {
		t.Errorf("got %q", got)
	}
}

func TestNumbered(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{
		"SELECT 1":                             "SELECT 1",
		"a = ? AND b IN (?,?)":                 "a = $1 AND b IN ($2,$3)",
		"a = '?' AND b = ? AND c = 'it?''s ?'": "a = '?' AND b = $1 AND c = 'it?''s ?'",
	} {
		if got := numbered(query); got != want {
			t.Errorf("%s: %s", query, got)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
