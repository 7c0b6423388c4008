package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestOnceKeepsOutOfTheWay checks that a demo that runs once uses other ports than a
// demo that runs beside it.
func TestOnceKeepsOutOfTheWay(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("TMPDIR", t.TempDir())
	seen := map[string]bool{".demo": true}
	for range 2 {
		cfg := config{once: true}
		remove, err := cfg.resolve()
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := remove(); err != nil {
				t.Error(err)
			}
			if _, err := os.Stat(cfg.data); err == nil {
				t.Errorf("%s is left", cfg.data)
			}
		}()
		if seen[cfg.data] || !strings.HasPrefix(cfg.data, os.TempDir()) {
			t.Errorf("the folder is %s", cfg.data)
		}
		seen[cfg.data] = true
		if addr, err := cfg.port("the node", "127.0.0.1:8420"); err != nil || addr == "127.0.0.1:8420" {
			t.Errorf("the node is at %s, %v", addr, err)
		}
	}
	cfg := config{}
	if _, err := cfg.resolve(); err != nil || filepath.Base(cfg.data) != ".demo" {
		t.Errorf("a demo that stays is in %s, %v", cfg.data, err)
	}
}
