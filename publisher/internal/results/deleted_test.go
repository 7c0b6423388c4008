package results

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/retention"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
)

// TestAResultReadDuringADeletionIsNotKept reads a result whose job was deleted and whose
// object has not been removed yet.
func TestAResultReadDuringADeletionIsNotKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, err := ledger.Open(t.Context(), ledger.Config{DSN: "sqlite:" + filepath.Join(dir, "ledger.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s, err := store.Open(context.Background(), filepath.Join(dir, "store"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	id := jobs.NewID()
	fault := &jobs.Error{Class: jobs.ClassDocument, Message: "bad"}
	if _, err := l.Accept(t.Context(), []ledger.Entry{{Job: jobs.Job{ID: id, Program: "p"}, Document: []byte("{}"), Fault: fault}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Create(t.Context(), store.ResultKey(id), []byte("{}")); err != nil {
		t.Fatal(err)
	}
	docs := NewDocuments(Config{Ledger: l, Store: s, CacheBytes: 1 << 20})
	acted, err := l.Act(t.Context(), ledger.VerbDelete, "Ann", []ledger.Target{{ID: id}})
	if err != nil || acted[0].Err != nil {
		t.Fatal(err, acted)
	}
	if _, err := docs.stored(t.Context(), id); !errors.Is(err, retention.ErrDeleted) {
		t.Errorf("the result: %v", err)
	}
	if docs.cache.get(id) != nil {
		t.Error("the result stays in memory")
	}
}
