package ledger

import (
	"database/sql"
	"path/filepath"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/stuck"
	"github.com/runnerbean/runnerbean/jobs"
)

// A ledger of an earlier version keeps the times of scheduled jobs, and which need a job
// failed for.
func TestUpgradeKeepsTimesAndNeeds(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "old.db")
	oldLedger(t, path)
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	tonight := time.Now().Add(8 * time.Hour).UTC().Truncate(time.Microsecond)
	const need = "01990000-0000-7000-8000-000000000001"
	for _, text := range []string{
		"UPDATE jobs SET not_before = ? WHERE id = 'q' AND ? > 0",
		"UPDATE jobs SET attempt = 1, not_before = ?, node = 'n1' WHERE id = 's' AND ? > 0",
		`UPDATE jobs SET error = '{"class":"needs","message":"job ` + need + `, which it needs, is failed"}' WHERE id = 'f' AND ? + ? > 0`,
		`INSERT INTO jobs SELECT '` + need + `', program, state, priority, created, 9, not_before, expires, started, finished, updated, 1, spent, crashes, cancel_requested,
			node, instance, program_sha256, outcome, exit_code, signal, cpu_us, max_rss, server, message, reason, '', labels FROM jobs WHERE id = 'f' AND ? + ? > 0`,
	} {
		if _, err := db.Exec(text, tonight.UnixMicro(), tonight.UnixMicro()); err != nil {
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
	d := &fixture{t: t, Ledger: l, path: path}
	if r, err := d.act(VerbReset, "q"); err != nil || !r.NotBefore.Equal(tonight) || !r.StartAfter.Equal(tonight) {
		t.Errorf("a scheduled job after a reset: %+v, %v", r, err)
	}
	if r := d.record("s"); !r.StartAfter.IsZero() {
		t.Errorf("a backoff is taken for a time of the document: %+v", r)
	}
	edges, err := l.Stuck.FailedNeeds(t.Context(), []string{"f", need})
	if want := (stuck.Edge{Job: "f", Need: need}); err != nil || len(edges) != 1 || edges[0] != want {
		t.Errorf("%+v, %v", edges, err)
	}
	if r := d.record("f"); r.State != jobs.Failed {
		t.Errorf("%+v", r)
	}
}
