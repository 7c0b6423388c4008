package workdir

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

// removeAll removes a tree that a program may have made hard to remove: folders
// without permissions, or nested deeper than paths and descriptors reach.
func removeAll(path string) error {
	if os.RemoveAll(path) == nil {
		return nil
	}
	return flatten(path)
}

// flatten adds movedSuffix and a number to the name of the topmost folder.
const movedSuffix = ".x"

// flatten removes a tree by moving every folder in it up beside the topmost one. So
// neither paths nor the stack grow with the depth. It removes what it can and returns
// the first error.
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

// empty removes a folder and the files in it. It moves the folders in it to the paths
// that next returns, and returns these. Without permissions on a folder neither works,
// so it changes them first.
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
