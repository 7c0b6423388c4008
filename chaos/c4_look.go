package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// examine looks for what should not be there. Where the node has started again
// nothing may be left; before that, what it failed to remove may.
func (v *victim) examine(ctx context.Context, o *outcome, restarted bool) {
	if wrong := integrity(ctx, v.at.ledger); wrong != "" {
		v.rig.say("%s: %s", v.at.ledger, wrong)
		o.unsound++
	}
	if !restarted {
		return
	}
	var found []string
	for range 20 { // work goes on for a moment after a job has ended
		if found = v.leftovers(); len(found) == 0 || !sleep(ctx, 100*time.Millisecond) {
			break
		}
	}
	for _, what := range found {
		v.rig.say("left: %s", what)
	}
	o.leftovers += len(found)
}

// leftovers lists files that belong to nothing.
func (v *victim) leftovers() (found []string) {
	for _, n := range []*node{v.node, v.reader} {
		found = append(found, below(filepath.Join(n.data, "scratch"), 2)...)
	}
	found = append(found, below(filepath.Join(v.at.store, "tmp"), 2)...)
	if folders, _ := os.ReadDir(filepath.Join(v.at.store, "tmp")); len(folders) > 2 {
		found = append(found, fmt.Sprintf("%d temporary folders of 2 processes", len(folders)))
	}
	for _, file := range below(filepath.Join(v.at.store, "results"), 2) {
		if id, ok := strings.CutSuffix(filepath.Base(file), ".json"); !ok || !v.known[id] {
			found = append(found, file)
		}
	}
	return found
}

// below lists what is at least so deep in a folder.
func below(root string, depth int) (list []string) {
	_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if rel, relErr := filepath.Rel(root, path); err == nil && relErr == nil && rel != "." && strings.Count(rel, "/")+1 >= depth {
			list = append(list, path)
		}
		return nil
	})
	return list
}

// whole reports whether the result of a job names the file that its program left.
func (v *victim) whole(id string) bool {
	files, err := filepath.Glob(filepath.Join(v.at.store, "results", "*", id+".json"))
	if err != nil || len(files) != 1 {
		return false
	}
	text, err := os.ReadFile(files[0])
	var document struct{ Artifacts []struct{ Name string } }
	return err == nil && json.Unmarshal(text, &document) == nil && len(document.Artifacts) == 1
}

// integrity is what SQLite finds wrong with a ledger that others use.
func integrity(ctx context.Context, path string) string {
	query := url.Values{"mode": {"ro"}, "_pragma": {"busy_timeout(10000)"}}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: path, RawQuery: query.Encode()}).String())
	if err != nil {
		return err.Error()
	}
	defer db.Close()
	var verdict string
	if err := db.QueryRowContext(ctx, "PRAGMA integrity_check").Scan(&verdict); err != nil {
		return err.Error()
	}
	if verdict != "ok" {
		return verdict
	}
	return ""
}
