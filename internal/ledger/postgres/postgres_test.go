package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
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
	if seen, err := Peek(t.Context(), url); err != nil || seen.ID != list[0] || seen.Schema != sqlite.Schema() {
		t.Errorf("read %+v, %v", seen, err)
	}
}

// An additive migration runs once, under a program that does not know it and goes on, also
// after its next start.
func TestAdditiveMigration(t *testing.T) {
	t.Parallel()
	url := newURL(t)
	older := open(t, url)
	steps := append(sqlite.Migrations(), "CREATE TABLE added (one BIGINT NOT NULL); ALTER TABLE jobs ADD COLUMN added BIGINT NOT NULL DEFAULT 0")
	errs := make(chan error)
	for range 8 {
		go func() {
			db, err := openWith(context.Background(), url, steps, sqlite.Schema())
			if err == nil {
				err = db.Close()
			}
			errs <- err
		}()
	}
	for range 8 {
		must(t, <-errs)
	}
	newer, err := openWith(t.Context(), url, steps, sqlite.Schema())
	must(t, err)
	defer newer.Close()
	for _, w := range []engine.Writer{older.Writer, open(t, url).Writer, newer.Writer} {
		must(t, w.Begin())
		version, added := 0, 0
		_, err := w.Row(qRead, nil, &version)
		must(t, err)
		_, err = w.Row(&engine.Query{Text: "SELECT COUNT(added) FROM jobs"}, nil, &added)
		must(t, err)
		if version != sqlite.Schema() {
			t.Errorf("version %d", version)
		}
		w.Rollback()
	}
	// A version that is not additive runs what is missing, and ends older programs.
	next, err := openWith(t.Context(), url, append(steps, "DROP TABLE added"), len(steps)+1)
	must(t, err)
	must(t, next.Close())
	if err := older.Writer.Begin(); !errors.Is(err, sqlite.ErrNewer) {
		t.Errorf("the older program: %v", err)
	}
}

func TestPeekAtNothing(t *testing.T) {
	t.Parallel()
	if seen, err := Peek(t.Context(), newURL(t)); err != nil || seen.ID != "" || seen.Schema != 0 {
		t.Errorf("%+v, %v", seen, err)
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
	must(t, other.Commit(true))
	_, err := a.Exec(qAdd, -1)
	must(t, err)
	select {
	case err := <-began:
		t.Errorf("it has begun: %v", err)
	default:
	}
	must(t, a.Commit(true))
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
	must(t, a.Commit(true))
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
	if err := w.Commit(true); err == nil {
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
	must(t, a.Commit(true))
	if now := a.Version(); now != before {
		t.Errorf("its own: %d, %d", before, now)
	}
	must(t, b.Begin())
	must(t, b.Commit(true))
	if now := a.Version(); now == before {
		t.Error("a transaction of another is not noticed")
	}
}

// A durable commit returns when the log on the disk holds it, also where the operator has
// turned that off for other programs.
func TestDurableCommit(t *testing.T) {
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
			number, flushed := "", false
			_, err = w.Row(&engine.Query{Text: "SELECT pg_current_wal_insert_lsn()::text"}, nil, &number)
			must(t, err)
			must(t, w.Commit(true))
			must(t, other.QueryRow("SELECT pg_current_wal_flush_lsn() > $1::pg_lsn", number).Scan(&flushed))
			if !flushed {
				t.Fatalf("synchronous_commit %s: Commit has returned before the disk has the log", setting)
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
	must(t, db.Writer.Commit(true))
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
		if _, err := Peek(t.Context(), url); err == nil || strings.Contains(err.Error(), "secret") {
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
	must(t, db.Writer.Commit(true))
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

func TestInspect(t *testing.T) {
	t.Parallel()
	url := newURL(t)
	db := open(t, url)
	other, err := sql.Open("pgx", url)
	must(t, err)
	defer other.Close()
	tx, err := other.BeginTx(t.Context(), nil) // an old transaction, of a known application
	must(t, err)
	defer func() { _ = tx.Rollback() }()
	_, err = tx.Exec("SELECT 1")
	must(t, err)
	s, err := Inspect(t.Context(), url)
	must(t, err)
	if s.Version == "" || s.Size < 100_000 || s.Oldest <= 0 || s.OldestBy != "runnerbean" && s.OldestBy != "postgres" || s.MaxConnections != 500 || s.Connections < 1 || !slices.Equal(s.Unsafe, []string{"fsync = off"}) {
		t.Errorf("%+v", s)
	}
	// Dead rows are counted while an old transaction holds them.
	must(t, db.Writer.Begin())
	_, err = db.Writer.Exec(&engine.Query{Text: "INSERT INTO unsettled (job) SELECT n::text FROM generate_series(1, 3000) AS n"})
	must(t, err)
	must(t, db.Writer.Commit(true))
	must(t, db.Writer.Begin())
	_, err = db.Writer.Exec(&engine.Query{Text: "DELETE FROM unsettled"})
	must(t, err)
	must(t, db.Writer.Commit(true))
	for s.DeadRows < 3000 { // the server counts a moment later
		if s, err = db.Server(t.Context()); err != nil || t.Context().Err() != nil {
			t.Fatal(s, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	if again, err := db.Server(t.Context()); err != nil || again.Version != s.Version {
		t.Errorf("%+v, %v", again, err)
	}
}

// A standby that does not replay falls behind, which its primary says.
func TestInspectStandby(t *testing.T) {
	t.Parallel()
	primary, err := postgrestest.Start()
	must(t, err)
	t.Cleanup(primary.Stop)
	standby, err := primary.StartStandby(false)
	must(t, err)
	t.Cleanup(standby.Stop)
	db := open(t, primary.URL(""))
	must(t, standby.Exec("SELECT pg_wal_replay_pause()"))
	var s engine.Server
	for s.Standbys != 1 || s.Synchronous != 0 || s.Lag < time.Second/10 {
		must(t, primary.Exec("SELECT pg_logical_emit_message(false, 'test', 'x')"))
		s, err = db.Server(t.Context())
		must(t, err)
		time.Sleep(20 * time.Millisecond)
	}
	must(t, standby.Exec("SELECT pg_wal_replay_resume()"))
}

// A name has what tells ledgers apart, and nothing secret, wherever a URL holds it.
func TestName(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"postgres://u:secret@db.example/x":                                "postgres://db.example/x",
		"postgres://u:12345#secret@db.example/x":                          "postgres://db.example/x",
		"postgres://u:12345?secret@db.example/x":                          "postgres://db.example/x",
		"postgres://b:6000,a/x?user=u&password=secret&sslpassword=secret": "postgres://b:6000,a/x",
		"postgres://u@/x?host=/run/postgresql&search_path=two":            "postgres:///run/postgresql/x?search_path=two",
		"postgres://u:secret@%zz/x":                                       "the ledger",
	} {
		if got := Name(url); got != want {
			t.Errorf("%s: %s, want %s", url, got, want)
		}
	}
}

// Errors for which another try may help are an engine.Away; a full disk also an engine.ErrNoRoom.
func TestAway(t *testing.T) {
	t.Parallel()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	late, end := context.WithTimeout(t.Context(), 0)
	defer end()
	for name, test := range map[string]struct {
		ctx        context.Context
		err        error
		away, full bool
	}{
		"fault":     {t.Context(), &pgconn.PgError{Code: "42601"}, false, false},
		"full":      {t.Context(), &pgconn.PgError{Code: "53100"}, true, true},
		"busy":      {t.Context(), &pgconn.PgError{Code: "53300"}, true, false},
		"stops":     {t.Context(), &pgconn.PgError{Code: "57P01"}, true, false},
		"broken":    {t.Context(), io.ErrUnexpectedEOF, true, false},
		"too late":  {late, context.DeadlineExceeded, true, false},
		"cancelled": {gone, context.Canceled, false, false},
	} {
		err := away(test.ctx, test.err)
		if errors.Is(err, engine.ErrAway) != test.away || errors.Is(err, engine.ErrNoRoom) != test.full || !errors.Is(err, test.err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestServers(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"postgres://u@db.example/x":                              "db.example:5432",
		"postgres://u@b:6000,a/x":                                "a:5432 b:6000",
		"postgres://u@/x?host=/run/postgresql":                   "",
		"postgres://u:p@[::1]:5433/x?sslmode=disable":            "[::1]:5433",
		"postgres://u@%zz/x":                                     "",
		"postgres://u@a,b/x?target_session_attrs=prefer-standby": "a:5432 b:5432",
	} {
		if got := strings.Join(Servers(url), " "); got != want {
			t.Errorf("%s: %s, want %s", url, got, want)
		}
	}
}

// Changes of counts are folded into backlog, and no reader sees a difference. Old commits of
// the process are forgotten but for the last.
func TestFold(t *testing.T) {
	t.Parallel()
	url := newURL(t)
	db := open(t, url)
	w := db.Writer.(*Writer)
	add := &engine.Query{Text: `INSERT INTO backlog_steps (program, waiting, queued, running, succeeded, failed, cancelled) VALUES (?, 0, 1, 0, 0, 0, 0)
		ON CONFLICT (step, program) DO UPDATE SET queued = backlog_steps.queued + excluded.queued`}
	count := func(query string) (n int) {
		t.Helper()
		_, err := db.Reader.Row(t.Context(), &engine.Query{Text: query}, nil, &n)
		must(t, err)
		return n
	}
	const each = 200
	for round := 1; round <= 2; round++ {
		for range each {
			must(t, w.Begin())
			_, err := w.Exec(add, "p")
			must(t, err)
			must(t, w.Commit(false))
		}
		w.folded = time.Time{}
		must(t, w.Checkpoint())
		all, folded := count("SELECT queued FROM job_counts WHERE program = 'p'"), count("SELECT queued FROM backlog WHERE program = 'p'")
		if all != round*each || folded < all-128 || folded >= all {
			t.Errorf("round %d: %d are counted, %d of them folded", round, all, folded)
		}
		if n := count("SELECT COUNT(*) FROM backlog_steps"); n > 2 {
			t.Errorf("round %d: %d steps are left", round, n)
		}
		if n := count("SELECT COUNT(*) FROM commits"); n != 1 {
			t.Errorf("round %d: %d commits are left", round, n)
		}
	}
	if n := count("SELECT number FROM commits"); n != 2*each {
		t.Errorf("the last commit is %d", n)
	}
	must(t, db.Close())
	db = open(t, url)
	if n := count("SELECT queued FROM backlog WHERE program = 'p'"); n != 2*each {
		t.Errorf("%d are folded at the end, want %d", n, 2*each)
	}
}

// TestQueue queues statements: they run before the next one in their order, or at the commit,
// and do not pile up.
func TestQueue(t *testing.T) {
	t.Parallel()
	w := open(t, newURL(t)).Writer.(*Writer)
	must(t, w.Begin())
	must(t, w.Queue(qAdd, -3))
	version := 0
	if _, err := w.Row(qRead, nil, &version); err != nil || version != sqlite.Schema()-3 {
		t.Errorf("version %d, %v", version, err)
	}
	for range maxQueued {
		must(t, w.Queue(qAdd, 1))
	}
	if len(w.queued) > 0 {
		t.Errorf("%d statements wait", len(w.queued))
	}
	must(t, w.Queue(&engine.Query{Text: "UPDATE schema_version SET version = version WHERE ? <> ''"}, strings.Repeat("x", maxQueuedBytes)))
	if len(w.queued) > 0 {
		t.Error("a large statement waits")
	}
	must(t, w.Queue(qAdd, -maxQueued))
	must(t, w.Commit(true))
	must(t, w.Begin())
	if n, err := w.Exec(qAdd, 0); err != nil || n != 1 {
		t.Errorf("%d rows, %v", n, err)
	}
	if _, err := w.Row(qRead, nil, &version); err != nil || version != sqlite.Schema()-3 {
		t.Errorf("version %d, %v", version, err)
	}
	must(t, w.Queue(qAdd, -1))
	must(t, w.Queue(&engine.Query{Text: "UPDATE absent SET version = 1"}))
	if err := w.Commit(true); err == nil || !strings.Contains(err.Error(), "absent") || w.Lost(err) {
		t.Errorf("commit after a bad statement: %v", err)
	}
	w.Rollback()
	must(t, w.Begin())
	must(t, w.Queue(qAdd, -1))
	w.Rollback()
	must(t, w.Begin())
	if _, err := w.Row(qRead, nil, &version); err != nil || version != sqlite.Schema()-3 {
		t.Errorf("after rollbacks: version %d, %v", version, err)
	}
	must(t, w.Commit(false))
}
