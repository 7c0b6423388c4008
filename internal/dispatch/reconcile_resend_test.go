package dispatch

import (
	"database/sql"
	"encoding/json"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/jobs"
)

// acceptRound records as many jobs without messages as one round of the reconciler
// moves. All are of one program.
func (f *fixture) acceptRound(t *testing.T) {
	t.Helper()
	entries := make([]ledger.Entry, maxRound)
	for i := range entries {
		id := jobs.NewID()
		doc := document(id, "cat")
		entries[i] = ledger.Entry{Document: []byte(doc)}
		must(t, json.Unmarshal([]byte(doc), &entries[i].Job))
	}
	_, err := f.ledger.Accept(t.Context(), entries)
	must(t, err)
	// Young jobs are skipped, because they are about to be sent.
	f.sql(t, "UPDATE jobs SET updated = updated - 60000000")
}

// sql changes the database directly.
func (f *fixture) sql(t *testing.T, text string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+f.path+"?_pragma=busy_timeout(10000)")
	must(t, err)
	defer db.Close()
	_, err = db.Exec(text)
	must(t, err)
}

const refuseMarks = "CREATE TRIGGER refuse BEFORE UPDATE OF server ON jobs BEGIN SELECT RAISE(FAIL, 'the disk is full'); END"

// messages returns how many messages a server has received for a program.
func (f *fixture) messages(t *testing.T) string {
	t.Helper()
	stats, err := f.producer.TubeStats(t.Context(), f.server.Addr, f.sender.tubes.run("cat"))
	must(t, err)
	return stats["total-jobs"]
}

// TestMarksThatAreRefusedNeitherSpinNorPutAgain has a ledger that refuses to record
// sent messages. The reconciler tries again after the interval, not at once, and does
// not put the messages a second time.
func TestMarksThatAreRefusedNeitherSpinNorPutAgain(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.acceptRound(t)
	f.sql(t, refuseMarks)
	for range 3 {
		if f.reconciler.once(t.Context()) {
			t.Fatal("the next round follows at once")
		}
		if n := f.messages(t); n != "1000" {
			t.Fatalf("%s messages were put", n)
		}
	}
	f.sql(t, "DROP TRIGGER refuse")
	f.reconciler.once(t.Context())
	if n := f.messages(t); n != "1000" {
		t.Errorf("%s messages were put", n)
	}
	for server := range f.reconciler.living(t.Context()) {
		list, _, err := f.ledger.Unsent(t.Context(), []string{server}, time.Now(), 10)
		if err != nil || len(list) > 0 {
			t.Errorf("not marked: %d, %v", len(list), err)
		}
	}
}

// TestFoundMessagesThatCannotBeMarkedDoNotSpin does the same for messages that survived
// a restart of their server.
func TestFoundMessagesThatCannotBeMarkedDoNotSpin(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.acceptRound(t)
	f.reconciler.once(t.Context())
	f.server.Restart()
	f.sql(t, refuseMarks)
	for range 2 {
		if f.reconciler.once(t.Context()) {
			t.Fatal("the next round follows at once")
		}
	}
	f.sql(t, "DROP TRIGGER refuse")
	f.reconciler.once(t.Context())
	if f.reconciler.once(t.Context()) {
		t.Error("there is more to do")
	}
}
