package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
)

// TestNodesThatDifferAreTold starts a second node of a pool with another time limit, key and
// program. Its log, the page and the list of nodes and doctor say so; secrets stay secret.
func TestNodesThatDifferAreTold(t *testing.T) {
	t.Parallel()
	p := newNode(t, queuetest.Start(t).Addr)
	q := p.beside("n2")
	other := filepath.Join(t.TempDir(), "other.key")
	p.env = append(p.env, "RUNNERBEAN_WEBHOOK=http://a.example/geheim")
	q.env = append(q.env, "RUNNERBEAN_TIMEOUT=7m", "RUNNERBEAN_WEBHOOK_KEY_FILE="+other, "RUNNERBEAN_SLOTS=7")
	if err := os.WriteFile(filepath.Join(q.setting("PROGRAMS"), "echo"), []byte("#!/bin/sh\n# other\ncat\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	p.start("worker")
	q.start("worker")
	var list api.Nodes
	if err := json.Unmarshal([]byte(p.must("nodes", "--json")), &list); err != nil {
		t.Fatal(err)
	}
	told := strings.Join(list.Differences, "\n")
	for _, what := range []string{"RUNNERBEAN_TIMEOUT differs: 1h0m0s on n1; 7m0s on n2", "the webhook key differs", "the program echo differs", "RUNNERBEAN_WEBHOOK differs"} {
		if !strings.Contains(told, what) {
			t.Errorf("not told: %s\n%s", what, told)
		}
	}
	if strings.Contains(told, "SLOTS") || strings.Contains(told, "version") || len(list.Differences) != 4 {
		t.Errorf("told are\n%s", told)
	}
	doctor, _, _ := p.client("", "doctor")
	for name, text := range map[string]string{"the log": q.log.String(), "doctor": doctor, "nodes": p.must("nodes"), "the page": p.text("/nodes")} {
		if !strings.Contains(text, "RUNNERBEAN_TIMEOUT differs: 1h0m0s on n1; 7m0s on n2") {
			t.Errorf("%s does not tell:\n%s", name, text)
		}
		key, err := os.ReadFile(other)
		if err != nil || strings.Contains(text, strings.TrimSpace(string(key))) || strings.Contains(text, "geheim") {
			t.Errorf("%s has a secret, %v", name, err)
		}
	}
}
