package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/runnerbean/runnerbean/internal/filelock"
)

// TryFolder tries in a folder what a store there requires of the file system: links that never
// replace a file, renames that do so, what is open staying readable, syncs and locks of
// folders. Network file systems may lack some of it. It leaves nothing.
func TryFolder(folder string) error {
	dir, err := os.MkdirTemp(folder, ".doctor-*")
	if err != nil {
		return err
	}
	return errors.Join(tryLinks(dir), tryRename(dir), tryFolderLock(dir), syncPath(dir), os.RemoveAll(dir))
}

func tryLinks(dir string) error {
	from, name := filepath.Join(dir, "from"), filepath.Join(dir, "name")
	if err := os.WriteFile(from, []byte("first"), filePerm); err != nil {
		return err
	}
	if err := os.Link(from, name); err != nil {
		return fmt.Errorf("it has no hard links, which create a result only once: %w", err)
	}
	switch err := os.Link(from, name); {
	case err == nil:
		return errors.New("a hard link replaces a file that is there, so that a result could change")
	case !errors.Is(err, fs.ErrExist):
		return fmt.Errorf("a hard link to a name that is taken: %w, want %w", err, fs.ErrExist)
	}
	return os.Remove(from)
}

// tryRename replaces the file that tryLinks has left, while it is open.
func tryRename(dir string) error {
	next, name := filepath.Join(dir, "next"), filepath.Join(dir, "name")
	if err := os.WriteFile(next, []byte("second"), filePerm); err != nil {
		return err
	}
	reader, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // without hard links
	}
	if err != nil {
		return err
	}
	defer reader.Close()
	if err := os.Rename(next, name); err != nil {
		return fmt.Errorf("a rename does not replace a file: %w", err)
	}
	old := make([]byte, len("first"))
	if _, err := reader.Read(old); err != nil || string(old) != "first" {
		return fmt.Errorf("a file that was open while a rename replaced it reads %q: %w", old, err)
	}
	now, err := os.ReadFile(name)
	if err == nil && string(now) != "second" {
		err = fmt.Errorf("after a rename the file reads %q", now)
	}
	return err
}

// tryFolderLock takes a lock by two handles, of which the second must fail.
func tryFolderLock(dir string) error {
	var open [2]*os.File
	for i := range open {
		var err error
		if open[i], err = os.Open(dir); err != nil {
			return err
		}
		defer open[i].Close()
	}
	if err := filelock.Try(open[0]); err != nil {
		return fmt.Errorf("a folder cannot be locked: %w", err)
	}
	if err := filelock.Try(open[1]); !errors.Is(err, filelock.ErrHeld) {
		return fmt.Errorf("two processes lock a folder at once: %w", err)
	}
	return nil
}
