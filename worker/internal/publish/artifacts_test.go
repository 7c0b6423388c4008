package publish

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
)

// TestArtifactThatGrows is a file that grows after it was measured: the program is at
// fault, not the node.
func TestArtifactThatGrows(t *testing.T) {
	t.Parallel()
	objects, err := store.Open(context.Background(), "file://"+t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer objects.Close()
	f, err := os.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(2000); err != nil {
		t.Fatal(err)
	}
	p := New(&Config{Store: objects}, &ledger.Record{ID: jobs.NewID(), Attempt: 1}, slog.New(slog.DiscardHandler))
	if err := p.storeArtifact(t.Context(), f, &jobs.Artifact{Name: "f"}, 1000); !errors.Is(err, store.ErrTooBig) || len(p.stored) > 0 {
		t.Errorf("error is %v, stored %q", err, p.stored)
	}
}
