package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/internal/ledger/postgres/postgrestest"
	"github.com/runnerbean/runnerbean/internal/ledger/sqlite"
	"github.com/runnerbean/runnerbean/jobs"
)

// crashEnv turns the test binary into a process that writes until it is killed.
const crashEnv = "LEDGER_TEST_WRITE_UNTIL_KILLED"

// postgresEnv has those tests that are not about SQLite files run on PostgreSQL.
const postgresEnv = "LEDGER_TEST_POSTGRES"

// checks is the number of runs of the property test, unless a flag says otherwise.
var checks = "100"

// manyDependents is the size of a graph that takes several transactions.
var manyDependents = 5001

func TestMain(m *testing.M) {
	if path := os.Getenv(crashEnv); path != "" {
		writeUntilKilled(path)
		return
	}
	if err := flag.Set("rapid.checks", checks); err != nil {
		panic(err)
	}
	os.Exit(runTests(m))
}

// server is a PostgreSQL, if the tests are to run there and not on SQLite.
var server *postgrestest.Server

// pooler is a PgBouncer in front of it, if they are to go through one.
var pooler *postgrestest.Pooler

func runTests(m *testing.M) int {
	if os.Getenv(postgresEnv) != "" {
		var err error
		if server, err = postgrestest.Start(); err != nil {
			panic(err)
		}
		if os.Getenv(postgresEnv) == "pgbouncer" {
			if pooler, err = server.StartPooler(); err != nil {
				panic(err)
			}
		}
		if err := flag.Set("rapid.checks", "25"); err != nil { // each statement is a message
			panic(err)
		}
	}
	code := m.Run()
	if pooler != nil {
		pooler.Stop()
	}
	if server != nil {
		server.Stop()
	}
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// testClock is a clock that a test moves.
type testClock struct{ us atomic.Int64 }

func (c *testClock) now() time.Time          { return time.UnixMicro(c.us.Load()) }
func (c *testClock) advance(d time.Duration) { c.us.Add(d.Microseconds()) }

// tester is what testing and rapid have in common.
type tester interface {
	Helper()
	Error(args ...any)
	Errorf(format string, args ...any)
	Fatal(args ...any)
	Fatalf(format string, args ...any)
	Context() context.Context
}

// always makes all time count for the age of heartbeats, however far the clock of a test jumps.
const always = 10000 * time.Hour

// fixture is a ledger under test. Its node "n1" is alive as instance "i1".
type fixture struct {
	*Ledger
	t     tester
	clock *testClock
	path  string // of the file, on SQLite
	dsn   string
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ledger.db")
	return newFixtureOf(t, newDSN(t, path), path)
}

// newFileFixture returns a fixture on SQLite, whatever the others use.
func newFileFixture(t testing.TB) *fixture {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ledger.db")
	return newFixtureOf(t, "sqlite:"+path, path)
}

func newFixtureOf(t testing.TB, dsn, path string) *fixture {
	t.Helper()
	d := &fixture{t: t, clock: &testClock{}, path: path, dsn: dsn}
	d.clock.us.Store(time.Date(2026, 11, 22, 6, 16, 0, 123456000, time.UTC).UnixMicro())
	d.Ledger = d.open()
	t.Cleanup(func() { _ = d.Ledger.Close() })
	d.must(d.Nodes.Register(t.Context(), nodes.Node{Name: "n1", Instance: "i1"}))
	return d
}

// open opens the same file again.
func (d *fixture) open() *Ledger { return d.openWith(func(*sqlite.Writer) {}) }

// openWith opens it and changes the writer before it starts.
func (d *fixture) openWith(change func(*sqlite.Writer)) *Ledger {
	d.t.Helper()
	c := Config{DSN: d.dsn, Now: d.clock.now, Logger: slog.New(slog.DiscardHandler)}
	l := newLedger(c)
	l.watching = always
	d.must(l.open(context.Background(), c))
	if w, ok := l.db.Writer.(*sqlite.Writer); ok {
		change(w)
	}
	l.queue.start()
	return l
}

func (d *fixture) must(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

// entry returns an Entry for program "p".
func entry(change func(*jobs.Job)) Entry {
	j := jobs.Job{ID: jobs.NewID(), Program: "p", Input: jobs.Input{Data: json.RawMessage(`1`)}}
	j.Result.URL = "https://results.example/" + j.ID
	if change != nil {
		change(&j)
	}
	return entryOf(j)
}

func entryOf(j jobs.Job) Entry {
	b, err := json.Marshal(j)
	if err != nil {
		panic(err)
	}
	return Entry{Job: j, Document: b}
}

// add accepts one job and returns its id.
func (d *fixture) add(change func(*jobs.Job)) string {
	d.t.Helper()
	e := entry(change)
	d.put(e)
	return e.Job.ID
}

func (d *fixture) put(e Entry) Accepted {
	d.t.Helper()
	a, err := d.Accept(d.t.Context(), []Entry{e})
	d.must(err)
	return a[0]
}

func (d *fixture) record(id string) Record {
	d.t.Helper()
	r, err := d.Get(d.t.Context(), id)
	d.must(err)
	return r
}

// run claims a job and returns the number of its attempt.
func (d *fixture) run(id string) int {
	d.t.Helper()
	c, err := d.Claim(d.t.Context(), id, Owner{Instance: "i1", Node: "n1", Alone: true}, "sum")
	d.must(err)
	if !c.OK {
		d.t.Fatalf("claim of %s refused: %+v", id, c)
	}
	return c.Record.Attempt
}

// end finishes an attempt.
func (d *fixture) end(id string, attempt int, state jobs.State, outcome jobs.Outcome) []Record {
	d.t.Helper()
	released, err := d.Finish(d.t.Context(), id, attempt, ending(state, outcome))
	d.must(err)
	return released
}

func ending(state jobs.State, outcome jobs.Outcome) Ending {
	e := Ending{State: state, Outcome: outcome, Inputs: InputsHad}
	if state != jobs.Succeeded {
		e.Error = &jobs.Error{Class: outcome, Message: "it went wrong"}
	}
	return e
}

// act applies a verb to one job. It returns the job and the refusal.
func (d *fixture) act(verb Verb, id string) (Record, error) {
	d.t.Helper()
	list, err := d.Act(d.t.Context(), verb, "Ann", []Target{{ID: id}})
	d.must(err)
	return list[0].Record, list[0].Err
}

func (d *fixture) wantState(id string, want jobs.State) Record {
	d.t.Helper()
	r := d.record(id)
	if r.State != want {
		d.t.Errorf("job is %s, want %s (%+v)", r.State, want, r.Error)
	}
	return r
}

// kinds returns the kinds of the events of a job, oldest first.
func (d *fixture) kinds(id string) (list []string) {
	d.t.Helper()
	events, err := d.Events.Newest(d.t.Context(), id, 0)
	d.must(err)
	for _, e := range events {
		list = append([]string{e.Kind}, list...)
	}
	return list
}

// recount compares Counts with the rows.
func (d *fixture) recount() {
	d.t.Helper()
	got, err := d.Activity.Counts(d.t.Context())
	d.must(err)
	want := map[jobs.State]int{}
	for _, s := range jobs.States {
		want[s] = 0
	}
	rows, err := sqlDB(d.Ledger).Query("SELECT state, COUNT(*) FROM jobs GROUP BY state")
	d.must(err)
	d.must(eachRow(rows, func(r engine.Row) error {
		var s jobs.State
		var n int
		err := r.Scan((*string)(&s), &n)
		want[s] = n
		return err
	}))
	if diff := cmp.Diff(want, got); diff != "" {
		d.t.Errorf("counts differ from the jobs: %s", diff)
	}
	d.recountBacklog()
}

// recountBacklog compares Backlog with the rows.
func (d *fixture) recountBacklog() {
	d.t.Helper()
	got, err := d.Backlog(d.t.Context())
	d.must(err)
	var want Backlog
	rows, err := sqlDB(d.Ledger).Query(`SELECT CASE WHEN EXISTS (SELECT 1 FROM needs WHERE need = 'program ' || program AND job = id) THEN '' ELSE program END AS counted,
		COUNT(*) FILTER (WHERE state = 'queued'), COUNT(*) FILTER (WHERE state = 'running'), COUNT(*) FILTER (WHERE state = 'waiting'),
		COUNT(*) FILTER (WHERE state = 'queued' AND due > $1), COALESCE(MIN(CASE WHEN state = 'queued' AND due <= $1 THEN due END), 0) FROM jobs
		WHERE state IN ('queued', 'running', 'waiting') GROUP BY counted ORDER BY counted`, engine.Micros(d.now()))
	d.must(err)
	d.must(eachRow(rows, func(r engine.Row) error {
		var p ProgramBacklog
		var oldest int64
		err := r.Scan(&p.Program, &p.Queued, &p.Running, &p.Waiting, &p.Scheduled, &oldest)
		p.Oldest = engine.FromMicros(oldest)
		if p.Program != "" {
			want.Programs = append(want.Programs, p)
		}
		want.Queued, want.Running, want.Waiting = want.Queued+p.Queued, want.Running+p.Running, want.Waiting+p.Waiting
		want.Oldest, want.Scheduled = engine.Earlier(want.Oldest, p.Oldest), want.Scheduled+p.Scheduled
		return err
	}))
	if diff := cmp.Diff(want, got); diff != "" {
		d.t.Errorf("the backlog differs from the jobs: %s", diff)
	}
}

func eachRow(rows *sql.Rows, scan func(engine.Row) error) error {
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// write runs a statement in a transaction of its own.
func (d *fixture) write(q *engine.Query, args ...any) {
	d.t.Helper()
	d.must(d.do(context.Background(), &op{name: "test", weight: 1, run: func(tx *txn) error {
		_, err := tx.Exec(q, args...)
		return err
	}}))
}

// onFile reports whether the ledger is an SQLite file.
func (d *fixture) onFile() bool { return strings.HasPrefix(d.dsn, "sqlite:") }

// newDSN returns the DSN of a new ledger: a file, or a schema of its own in PostgreSQL.
func newDSN(t tester, path string) string {
	t.Helper()
	if server == nil {
		return "sqlite:" + path
	}
	named := server.NewSchema
	if pooler != nil {
		named = pooler.NewDatabase // a connection of others has no search_path
	}
	dsn, err := named()
	if err != nil {
		t.Fatal(err)
	}
	return dsn
}

// sqlDB returns the connections of a ledger for reading.
func sqlDB(l *Ledger) *sql.DB { return l.db.Reader.(interface{ DB() *sql.DB }).DB() }
