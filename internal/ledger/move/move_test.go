package move

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/ledgertest"
	"github.com/runnerbean/runnerbean/internal/ledger/listing"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/internal/ledger/postgres/postgrestest"
	"github.com/runnerbean/runnerbean/internal/ledger/sqlite"
	"github.com/runnerbean/runnerbean/jobs"
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

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newURL(t *testing.T) string {
	t.Helper()
	url, err := server.NewSchema()
	must(t, err)
	return url
}

// filled returns the file of a ledger with jobs in all states.
func filled(t *testing.T, n int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ledger.db")
	must(t, ledgertest.Fill(t.Context(), path, n))
	exec(t, path, "UPDATE nodes SET left_at = 1 WHERE left_at = 0")
	return path
}

func exec(t *testing.T, path, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?_txlock=immediate")
	must(t, err)
	defer db.Close()
	_, err = db.Exec(statement)
	must(t, err)
}

func open(t *testing.T, dsn string) *ledger.Ledger {
	t.Helper()
	l, err := ledger.Open(t.Context(), ledger.Config{DSN: dsn, Logger: slog.New(slog.DiscardHandler)})
	must(t, err)
	t.Cleanup(func() { _ = l.Close() })
	return l
}

var silent = Observer{Waiting: func(string) {}, Begin: func(int) {}, Copied: func(int) {}}

// content is all that pages show of a ledger.
func content(t *testing.T, l *ledger.Ledger) string {
	t.Helper()
	counts, err := l.Activity.Counts(t.Context())
	must(t, err)
	var b strings.Builder
	fmt.Fprintln(&b, l.ID(), counts)
	for f := (listing.Filter{Limit: 100}); ; {
		page, err := l.List(t.Context(), f)
		must(t, err)
		for _, j := range page.Jobs {
			record, err := l.Get(t.Context(), j.ID)
			must(t, err)
			attempts, err := l.Attempts(t.Context(), j.ID)
			must(t, err)
			text, err := json.Marshal([]any{record, attempts})
			must(t, err)
			fmt.Fprintf(&b, "%s\n", text)
		}
		if f.Cursor = page.Next; f.Cursor == "" {
			return b.String()
		}
	}
}

// The database has all that the file had, and the file is not opened any more.
func TestMove(t *testing.T) {
	t.Parallel()
	path, url := filled(t, 900), newURL(t)
	file := open(t, "sqlite:"+path)
	want := content(t, file)
	must(t, file.Close())
	report, err := Move(t.Context(), path, url, silent)
	must(t, err)
	if report.Jobs != 900 || report.Already || report.ID != file.ID() || report.Tables < 30 {
		t.Errorf("%+v", report)
	}
	moved := open(t, url)
	if got := content(t, moved); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if _, err := ledger.Open(t.Context(), ledger.Config{DSN: "sqlite:" + path}); !errors.Is(err, ledger.ErrNewer) || !strings.Contains(err.Error(), "moved the ledger to PostgreSQL") {
		t.Errorf("the file was opened: %v", err)
	}
	if _, err := moved.Accept(t.Context(), []ledger.Entry{}); err != nil { // the ledger takes writes
		t.Error(err)
	}
	if report, err := Move(t.Context(), path, url, silent); err != nil || !report.Already {
		t.Errorf("again: %+v, %v", report, err)
	}
	if _, err := Move(t.Context(), path, newURL(t), silent); !errors.Is(err, ErrTarget) || !strings.Contains(err.Error(), "moved to another database before") {
		t.Errorf("to another database after that: %v", err)
	}
}

// A move whose last step did not come can be repeated, unless the database was used since.
func TestMoveAgain(t *testing.T) {
	t.Parallel()
	path, url := filled(t, 50), newURL(t)
	_, err := Move(t.Context(), path, url, silent)
	must(t, err)
	unmark := func() { exec(t, path, fmt.Sprintf("UPDATE schema_version SET version = %d", sqlite.Schema())) }
	unmark()
	if report, err := Move(t.Context(), path, url, silent); err != nil || !report.Already {
		t.Errorf("%+v, %v", report, err)
	}
	unmark()
	l := open(t, url)
	must(t, l.Nodes.Register(t.Context(), nodes.Node{Name: "n", Instance: jobs.NewID()}))
	if _, err := Move(t.Context(), path, url, silent); !errors.Is(err, ErrTarget) || !strings.Contains(err.Error(), "has been used") {
		t.Errorf("into a database that was used: %v", err)
	}
	if p, err := sqlite.Peek(t.Context(), path); err != nil || p.Schema != sqlite.Schema() {
		t.Errorf("the file is marked: %+v, %v", p, err)
	}
}

func TestMoveRefuses(t *testing.T) {
	t.Parallel()
	other := newURL(t)
	l := open(t, other)
	must(t, l.Nodes.Register(t.Context(), nodes.Node{Name: "n", Instance: jobs.NewID()}))
	path := filled(t, 10)
	if _, err := Move(t.Context(), path, other, silent); !errors.Is(err, ErrTarget) || !strings.Contains(err.Error(), "search_path") {
		t.Errorf("into another ledger: %v", err)
	}
	if _, err := Move(t.Context(), path+"x", newURL(t), silent); err == nil || !strings.Contains(err.Error(), "there is no ledger") {
		t.Errorf("without a file: %v", err)
	}
	exec(t, path, "UPDATE jobs SET reason = X'00ff' WHERE id = (SELECT MIN(id) FROM jobs)")
	if _, err := Move(t.Context(), path, newURL(t), silent); err == nil || !strings.Contains(err.Error(), "table jobs") {
		t.Errorf("a text that PostgreSQL does not take: %v", err)
	}
	exec(t, path, "UPDATE jobs SET reason = '', priority = 'high' WHERE id = (SELECT MIN(id) FROM jobs)")
	if _, err := Move(t.Context(), path, newURL(t), silent); err == nil || !strings.Contains(err.Error(), "column priority has a value of type string") {
		t.Errorf("a text for a number: %v", err)
	}
	exec(t, path, "UPDATE schema_version SET version = version - 1")
	if _, err := Move(t.Context(), path, newURL(t), silent); err == nil || !strings.Contains(err.Error(), "runnerbean migrate") {
		t.Errorf("an old schema: %v", err)
	}
}

// A node that is alive keeps the ledger where it is.
func TestMoveUnderANode(t *testing.T) {
	t.Parallel()
	path := filled(t, 10)
	l := open(t, "sqlite:"+path)
	instance := jobs.NewID()
	must(t, l.Nodes.Register(t.Context(), nodes.Node{Name: "busy", Instance: instance}))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	beats := make(chan struct{})
	go func() {
		defer close(beats)
		for ctx.Err() == nil {
			_ = l.Nodes.Beat(ctx, instance, nil, 1, nil)
			time.Sleep(time.Millisecond)
		}
	}()
	_, err := Move(t.Context(), path, newURL(t), silent)
	if !errors.Is(err, sqlite.ErrNodes) || !strings.Contains(err.Error(), "busy") {
		t.Errorf("%v", err)
	}
	cancel()
	<-beats
}

// Rows that differ in one value, or twice the same row, have another digest.
func TestSum(t *testing.T) {
	t.Parallel()
	rows := [][]any{{int64(1), "a"}, {int64(1), []byte("a")}, {int64(2), "a"}, {int64(1), nil}, {1.0, "a"}, {int64(1), ""}, {"1a"}}
	seen := map[sum]int{}
	for i, row := range rows {
		var s sum
		s.add(row)
		if j, known := seen[s]; known {
			t.Errorf("rows %d and %d are the same", i, j)
		}
		seen[s] = i
	}
	var a, b sum
	a.add(rows[0])
	a.add(rows[1])
	b.add(rows[1])
	b.add(rows[0])
	if a != b {
		t.Error("the order matters")
	}
}
