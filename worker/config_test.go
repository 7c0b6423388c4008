package worker

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/internal/ledger/packages"
	"github.com/runnerbean/runnerbean/internal/ledger/queues"
	"github.com/runnerbean/runnerbean/internal/ledger/results"
	"github.com/runnerbean/runnerbean/internal/published"
	"github.com/runnerbean/runnerbean/internal/store"
)

// ledgerWithID is a ledger that has an id and nothing else.
type ledgerWithID struct{ Ledger }

func (ledgerWithID) ID() string { return "0123456789" }

func TestConfig(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	good := func() Config {
		return Config{Ledger: ledgerWithID{}, Events: &eventlog.Log{}, Nodes: &nodes.Registry{}, Queues: &queues.Queues{}, Store: &store.Store{}, Results: &results.Results{}, Published: &published.Results{}, Packages: &packages.Packages{}, Node: "n", Instance: "i", BaseURL: "http://h:1/", Programs: dir, Scratch: dir, Slots: 1}
	}
	plain := filepath.Join(dir, "file")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for want, spoil := range map[string]func(*Config){
		"Config.Ledger":    func(c *Config) { c.Ledger = nil },
		"Config.Store":     func(c *Config) { c.Store = nil },
		"Config.Results":   func(c *Config) { c.Results = nil },
		"Config.Published": func(c *Config) { c.Published = nil },
		"from 0 to 104857": func(c *Config) { c.LedgerResults = results.Max + 1 },
		"Config.Node":      func(c *Config) { c.Node = "" },
		"Config.Queues":    func(c *Config) { c.Queues = nil },
		"Config.Attempts":  func(c *Config) { c.Attempts = -1 },
		"Config.BaseURL":   func(c *Config) { c.BaseURL = "results.example" },
		"tube":             func(c *Config) { c.Prefix = "my jobs" },
		"programs folder:": func(c *Config) { c.Programs = filepath.Join(dir, "absent") },
		"not a folder":     func(c *Config) { c.Programs = plain },
		"scratch folder:":  func(c *Config) { c.Scratch = "" },
	} {
		c := good()
		spoil(&c)
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, want %s", err, want)
		}
	}
	c := good()
	c.Slots = -1
	w, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	if w.cfg.Slots != runtime.NumCPU() || w.cfg.BaseURL != "http://h:1" || w.cfg.Attempts != 3 || w.cfg.Prefix != "runnerbean" {
		t.Errorf("defaults are %+v", w.cfg)
	}
}
