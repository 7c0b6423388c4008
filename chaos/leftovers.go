package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/chaos/internal/testbed"
)

// checkFiles looks for damage, and for files that should not exist. Only a
// restarted node must have removed them.
func (t *target) checkFiles(ctx context.Context, o *outcome, restarted bool) {
	if wrong := testbed.Integrity(ctx, t.at.Ledger); wrong != "" {
		t.bed.History.Logf("%s: %s", t.at.Ledger, wrong)
		o.damaged++
	}
	if !restarted {
		return
	}
	var found []string
	for range 20 { // the node works for a moment after the end of a job
		if found = t.leftovers(); len(found) == 0 || !testbed.Sleep(ctx, 100*time.Millisecond) {
			break
		}
	}
	for _, what := range found {
		t.bed.History.Logf("left: %s", what)
	}
	o.leftFiles += len(found)
}

// leftovers returns the files that nothing refers to.
func (t *target) leftovers() (found []string) {
	for _, n := range []*testbed.Node{t.node, t.reader} {
		found = append(found, below(filepath.Join(n.Data, "scratch"), 2)...)
	}
	found = append(found, below(filepath.Join(t.at.Store, "tmp"), 2)...)
	if folders, _ := os.ReadDir(filepath.Join(t.at.Store, "tmp")); len(folders) > 2 {
		found = append(found, fmt.Sprintf("%d temporary folders of 2 processes", len(folders)))
	}
	for _, file := range below(filepath.Join(t.at.Store, "results"), 2) {
		if id, ok := strings.CutSuffix(filepath.Base(file), ".json"); !ok || !t.stored[id] {
			found = append(found, file)
		}
	}
	return found
}

// hasFile reports whether the result of a job names the program's file.
func (t *target) hasFile(ctx context.Context, j *testbed.Job) bool {
	var document struct{ Artifacts []struct{ Name string } }
	return json.Unmarshal(t.bed.GetResult(ctx, t.reader, j, true).Body, &document) == nil && len(document.Artifacts) == 1
}
