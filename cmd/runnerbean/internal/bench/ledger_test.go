package bench

import (
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
	"github.com/runnerbean/runnerbean/internal/ledger"
)

// A ledger that somebody uses is not measured.
func TestBenchLedger(t *testing.T) {
	t.Parallel()
	dsn := "sqlite:" + filepath.Join(t.TempDir(), "ledger.db")
	if name, err := benchLedger(t.Context(), dsn); err != nil || name != dsn {
		t.Errorf("a new one: %s, %v", name, err)
	}
	l, err := ledger.Open(t.Context(), ledger.Config{DSN: dsn, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := benchLedger(t.Context(), dsn); err == nil || !strings.Contains(err.Error(), "has a ledger already") {
		t.Errorf("one that is used: %v", err)
	} else if _, usage := errors.AsType[*settings.Error](err); !usage {
		t.Errorf("%T", err)
	}
	if _, err := benchLedger(t.Context(), "mysql:x"); err == nil {
		t.Error("mysql is taken")
	}
}
