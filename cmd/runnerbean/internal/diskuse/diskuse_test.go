package diskuse

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
)

// TestAdviceNamesWhatTakesMostRoom has a large ledger, then old objects that are larger.
func TestAdviceNamesWhatTakesMostRoom(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	set := settings.Settings{Data: dir, Ledger: "sqlite:" + filepath.Join(dir, "ledger.db"), Store: filepath.Join(dir, "store")}
	put := func(name string, size int64, age time.Duration) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
		at := time.Now().Add(-age)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	if advice := Measure(t.Context(), set).Advice(); advice != "" {
		t.Errorf("of nothing: %q", advice)
	}
	put("ledger.db", 100_000, 0)
	use := Measure(t.Context(), set)
	if advice := use.Advice(); !strings.Contains(advice, "VACUUM") || strings.Contains(advice, "would free") || !strings.Contains(use.Text(), "the ledger") {
		t.Errorf("of a ledger: %q, %q", use.Text(), advice)
	}
	put("store/results/ab/x.json", 200_000, 2*oldAge)
	if advice := Measure(t.Context(), set).Advice(); strings.Contains(advice, "VACUUM") || !strings.Contains(advice, "would free") {
		t.Errorf("of a store: %q", advice)
	}
}
