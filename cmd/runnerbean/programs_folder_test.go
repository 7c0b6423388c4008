package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
)

// TestProgramsFolderOfANode checks that a node makes its programs folder.
func TestProgramsFolderOfANode(t *testing.T) {
	t.Parallel()
	p := newNode(t, queuetest.Start(t).Addr)
	home := t.TempDir()
	p.env = append(p.env, "RUNNERBEAN_PROGRAMS=", "HOME="+home, "XDG_DATA_HOME=", "STATE_DIRECTORY=")
	p.start("worker")
	if _, err := os.Stat(filepath.Join(home, ".local/share/runnerbean/programs")); err != nil {
		t.Error(err)
	}
}
