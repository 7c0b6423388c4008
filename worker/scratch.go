package worker

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// folders are what a program finds in its working directory.
var folders = []string{"inputs", "out", "checkpoint", "tmp"}

const laneFolder = "lane-"

// settled is how old a folder's last change must be for its time stamp to
// give away a later one: file systems stamp in ticks of some milliseconds.
const settled = 50 * time.Millisecond

// scratch is the place of one lane for the files of its attempts. Making and
// removing folders costs more than running a small program, so one that was
// left as it was found serves again.
type scratch struct {
	root  string // of the lane
	dir   string // working directory of the attempts; empty if there is none
	marks []mark // of root, dir and its folders, when they were made
	made  time.Time
	count int
}

// newScratch makes the place of one lane.
func newScratch(root, lane string) (*scratch, error) {
	s := &scratch{root: filepath.Join(root, laneFolder+lane)}
	return s, os.Mkdir(s.root, 0o700)
}

// sweep removes what an earlier instance left.
func sweep(root string) error {
	list, err := os.ReadDir(root)
	var errs []error
	for _, entry := range list {
		if strings.HasPrefix(entry.Name(), laneFolder) {
			errs = append(errs, removeAll(filepath.Join(root, entry.Name())))
		}
	}
	return errors.Join(append(errs, err)...)
}

// open returns a working directory in which nothing has happened yet.
func (s *scratch) open() (string, error) {
	if s.dir != "" {
		return s.dir, nil
	}
	s.count++
	dir := filepath.Join(s.root, strconv.Itoa(s.count))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	s.dir = dir
	for _, name := range folders {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			return "", errors.Join(err, s.discard())
		}
	}
	var err error
	if s.marks, err = s.look(); err != nil {
		return "", errors.Join(err, s.discard())
	}
	s.made = time.Now()
	return dir, nil
}

// spill is where an input is kept that is too large for memory.
func (s *scratch) spill() string { return filepath.Join(s.root, "stdin") }

// close ends an attempt that started at start. It keeps the directory only if
// the attempt left no trace in it, and never for the zero time.
func (s *scratch) close(start time.Time) error {
	if s.dir == "" || !start.IsZero() && s.pristine(start) {
		return nil
	}
	return s.discard()
}

// discard removes the directory and what an attempt may have put beside it.
func (s *scratch) discard() error {
	s.dir, s.marks = "", nil
	list, err := os.ReadDir(s.root)
	errs := []error{err}
	for _, entry := range list {
		errs = append(errs, removeAll(filepath.Join(s.root, entry.Name())))
	}
	return errors.Join(errs...)
}

func (s *scratch) pristine(start time.Time) bool {
	marks, err := s.look()
	if err != nil || len(marks) != len(s.marks) {
		return false
	}
	for i := range marks {
		if marks[i] != s.marks[i] {
			return false
		}
	}
	return start.Sub(s.made) > settled || s.bare()
}

// look returns the marks of the root, the directory and its folders.
func (s *scratch) look() ([]mark, error) {
	marks := make([]mark, 0, 2+len(folders))
	paths := []string{s.root, s.dir}
	for _, name := range folders {
		paths = append(paths, s.dir+"/"+name)
	}
	for _, path := range paths {
		m, err := lstat(path)
		if err != nil {
			return nil, err
		}
		marks = append(marks, m)
	}
	return marks, nil
}

// bare reports whether there is nothing but the empty folders.
func (s *scratch) bare() bool {
	if n, err := count(s.root); err != nil || n != 1 {
		return false
	}
	n, err := count(s.dir)
	if err != nil || n != len(folders) {
		return false
	}
	for _, name := range folders {
		if n, err := count(filepath.Join(s.dir, name)); err != nil || n != 0 {
			return false
		}
	}
	return true
}

func count(dir string) (int, error) {
	list, err := os.ReadDir(dir)
	return len(list), err
}

// removeAll removes a tree that may be hostile: folders without permissions,
// or nested deeper than paths and descriptors reach.
func removeAll(path string) error {
	if os.RemoveAll(path) == nil {
		return nil
	}
	return flatten(path)
}

// flatten removes a tree by moving every folder in it up beside the topmost,
// so that neither paths nor the stack grow with its depth.
func flatten(path string) error {
	pending, made := []string{path}, 0
	for len(pending) > 0 {
		dir := pending[len(pending)-1]
		pending = pending[:len(pending)-1]
		// A folder can be moved and emptied only with permissions on it.
		if err := os.Chmod(dir, 0o700); err != nil {
			return fmt.Errorf("scratch: %w", err)
		}
		moved, err := empty(dir, func() string {
			made++
			return path + ".x" + strconv.Itoa(made)
		})
		if err != nil {
			return fmt.Errorf("scratch: %w", err)
		}
		pending = append(pending, moved...)
	}
	return nil
}

// empty removes a folder and the files in it; its folders are moved to where
// next says and returned.
func empty(dir string, next func() string) (moved []string, err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	list, err := f.ReadDir(-1)
	if err != nil {
		return nil, err
	}
	for _, entry := range list {
		path := filepath.Join(dir, entry.Name())
		if !entry.IsDir() {
			err = os.Remove(path)
		} else if err = unix.Chmod(path, 0o700); err == nil {
			to := next()
			moved = append(moved, to)
			err = os.Rename(path, to)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return moved, err
		}
	}
	return moved, os.Remove(dir)
}
