package main

import (
	"context"
	"database/sql"
	"io/fs"
	"net/url"
	"path/filepath"
	"strings"
)

// below returns the paths that are at least so deep in a folder.
func below(root string, depth int) (list []string) {
	_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if rel, relErr := filepath.Rel(root, path); err == nil && relErr == nil && rel != "." && strings.Count(rel, "/")+1 >= depth {
			list = append(list, path)
		}
		return nil
	})
	return list
}

// integrity returns what SQLite finds wrong with a ledger that is in use, or
// "".
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
