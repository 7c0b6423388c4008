package testbed

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// overlay is a set of files that a build gets in place of, or in addition to,
// those on disk.
type overlay map[string]string // text by path

// write writes the files into a folder, and the list that "go build -overlay"
// reads. It returns the path of the list.
func (o overlay) write(folder string) (string, error) {
	replace := map[string]string{}
	for _, path := range slices.Sorted(maps.Keys(o)) { // the cache of builds knows them by name
		text := o[path]
		copied := filepath.Join(folder, fmt.Sprintf("overlay%d-%s", len(replace), filepath.Base(path)))
		if err := os.WriteFile(copied, []byte(text), 0o644); err != nil {
			return "", err
		}
		replace[path] = copied
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	path := filepath.Join(folder, "overlay.json")
	return path, os.WriteFile(path, list, 0o644)
}
