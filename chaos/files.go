package main

import (
	"io/fs"
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
