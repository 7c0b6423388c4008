package ledgertest

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/listing"
	"github.com/runnerbean/runnerbean/jobs"
)

// A filled ledger opens, and its counts match its lists.
func TestFill(t *testing.T) {
	t.Parallel()
	for name, fill := range map[string]func(string) error{
		"mixture": func(path string) error { return Fill(t.Context(), path, 2000) },
		"queue":   func(path string) error { return FillQueue(t.Context(), path, 2000) },
		"ended":   func(path string) error { return FillEnded(t.Context(), path, 2000) },
	} {
		path := filepath.Join(t.TempDir(), "ledger.db")
		if err := fill(path); err != nil {
			t.Fatal(err)
		}
		check(t, name, path)
	}
}

func check(t *testing.T, name, path string) {
	l, err := ledger.Open(t.Context(), ledger.Config{DSN: "sqlite:" + path})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	counts, err := l.Activity.Counts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, state := range jobs.States {
		listed := 0
		for f := (listing.Filter{State: state, Limit: 1000}); ; {
			page, err := l.List(t.Context(), f)
			if err != nil {
				t.Fatal(err)
			}
			listed += len(page.Jobs)
			if f.Cursor = page.Next; f.Cursor == "" {
				break
			}
		}
		if listed != counts[state] {
			t.Errorf("%s: %d jobs are %s, the ledger counts %d", name, listed, state, counts[state])
		}
		total += listed
	}
	if total != 2000 {
		t.Errorf("%s: %d jobs", name, total)
	}
	now := time.Now()
	a, err := l.Activity.History(t.Context(), now.Add(-24*time.Hour), now.Add(time.Hour), "")
	if err != nil || (name != "queue" && len(a.Nodes) < Nodes) {
		t.Errorf("%s: %+v, %v", name, a.Nodes, err)
	}
}
