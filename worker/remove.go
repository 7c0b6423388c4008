package worker

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// removeAll removes a tree that may be hostile: folders without permissions,
// or nested deeper than paths and descriptors reach.
func removeAll(path string) error {
	if os.RemoveAll(path) == nil {
		return nil
	}
	return flatten(path)
}

// movedSuffix and a number are added to the name of the topmost folder by flatten.
const movedSuffix = ".x"

// flatten removes a tree by moving every folder in it up beside the topmost,
// so that neither paths nor the stack grow with its depth. It removes what can
// be removed; the error is the first one.
func flatten(path string) (first error) {
	pending, made := []string{path}, 0
	for len(pending) > 0 {
		dir := pending[len(pending)-1]
		pending = pending[:len(pending)-1]
		moved, err := empty(dir, func() string {
			made++
			return path + movedSuffix + strconv.Itoa(made)
		})
		if err != nil {
			first = cmp.Or(first, fmt.Errorf("scratch: %w", err))
		}
		pending = append(pending, moved...)
	}
	return first
}

// empty removes a folder and the files in it; its folders are moved to where
// next says and returned. A folder can be moved and emptied only with
// permissions on it.
func empty(dir string, next func() string) (moved []string, first error) {
	if err := os.Chmod(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	list, first := f.ReadDir(-1)
	for _, entry := range list {
		path := filepath.Join(dir, entry.Name())
		if !entry.IsDir() {
			err = os.Remove(path)
		} else if err = unix.Chmod(path, 0o700); err == nil {
			to := next()
			if err = os.Rename(path, to); err == nil {
				moved = append(moved, to)
			}
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			first = cmp.Or(first, err)
		}
	}
	return moved, cmp.Or(first, os.Remove(dir))
}
