package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"testing"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

var qBlob = engine.NewQuery("INSERT INTO results (job, at, document) VALUES (?, 0, ?)")

// longLedger is a ledger that is filled with results.
type longLedger struct {
	t    *testing.T
	path string
	*Writer
	next int
}

func openLong(t *testing.T) *longLedger {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ledger.db")
	db, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return &longLedger{t: t, path: path, Writer: db.Writer}
}

// fill writes results of so many pages together, each of a size in bytes, and looks after
// the log as the ledger does after each transaction.
func (l *longLedger) fill(pages, size int) {
	l.t.Helper()
	document := bytes.Repeat([]byte("x"), size)
	for range pages * pageSize / size {
		l.next++
		err := l.Begin()
		if err == nil {
			_, err = l.Exec(qBlob, l.next, document)
		}
		if err == nil {
			err = l.Commit(true)
		}
		if err == nil {
			err = l.Checkpoint()
		}
		if err != nil {
			l.t.Fatal(err)
		}
	}
}

// length returns the length of the log in pages.
func (l *longLedger) length() int {
	l.t.Helper()
	length, _, err := l.runCheckpoint(qLogLength)
	if err != nil {
		l.t.Fatal(err)
	}
	return length
}

// wantLog demands that the file of the log has so many bytes at most.
func (l *longLedger) wantLog(most int64) {
	l.t.Helper()
	info, err := os.Stat(l.path + "-wal")
	if err != nil {
		l.t.Fatal(err)
	}
	if info.Size() > most {
		l.t.Errorf("the log has %d bytes, more than %d", info.Size(), most)
	}
}

// read begins to read the newest state, as another process would, and returns what ends it.
func (l *longLedger) read() (end func()) {
	l.t.Helper()
	db, err := sql.Open("sqlite", dsn(l.path))
	if err != nil {
		l.t.Fatal(err)
	}
	conn, err := db.Conn(context.Background())
	if err == nil {
		_, err = conn.ExecContext(context.Background(), "BEGIN; SELECT COUNT(*) FROM results")
	}
	if err != nil {
		l.t.Fatal(err)
	}
	return func() { _, _ = conn.Close(), db.Close() }
}

func TestLogStaysShortWithLargeResults(t *testing.T) {
	t.Parallel()
	l := openLong(t)
	l.fill(6*checkpointFrames, 1<<20)
	l.wantLog(checkpointFrames*pageSize + 3<<20)
}

// Readers that overlap keep the log from being written from its start, until the writer
// waits for them.
func TestLongLogIsWrittenFromItsStart(t *testing.T) {
	t.Parallel()
	l := openLong(t)
	l.fill(10, 60_000)
	end, waits := l.read(), 0
	l.Trace = func(q *engine.Query) {
		if q == qRestartLog {
			waits++
			end()
		}
	}
	for waits == 0 && l.next < 10_000 {
		l.fill(checkpointLook, 60_000)
		if waits == 0 {
			next := l.read()
			end()
			end = next
		}
	}
	end()
	if n := l.length(); n > 2*checkpointLook || waits != 1 {
		t.Errorf("%d pages in the log after %d results, the writer waited %d times for readers", n, l.next, waits)
	}
	l.fill(checkpointLook, 60_000)
	l.wantLog((longLog + checkpointLook) * pageSize)
}

// A reader that stays holds up the writer a few times, at twice the length each.
func TestReaderThatStaysHoldsUpTheWriterRarely(t *testing.T) {
	t.Parallel()
	l := openLong(t)
	l.fill(10, 60_000)
	end, waits := l.read(), 0
	defer end()
	l.Trace = func(q *engine.Query) {
		if q == qRestartLog {
			waits++
		}
	}
	l.fill(5*longLog, 60_000)
	if n := l.length(); n < 4*longLog || waits != 3 {
		t.Errorf("%d pages in the log, the writer waited %d times", n, waits)
	}
}
