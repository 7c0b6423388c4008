package worker

import (
	"cmp"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// folders are what a program finds in its working directory.
var folders = []string{"inputs", "out", "checkpoint", "tmp"}

// settled is how old a folder's last change must be for its time stamp to
// give away a later one: file systems stamp in ticks of some milliseconds.
const settled = 50 * time.Millisecond

// scratch is the place of one lane for the files of its attempts. Making and
// removing folders costs more than running a small program, so one that was
// left as it was found serves again.
type scratch struct {
	in    *scratchFolder
	root  string // of the lane; empty if there is none
	dir   string // working directory of the attempts; empty if there is none
	marks []mark // of root, dir and its folders, when they were made
	made  time.Time
	count int
}

// open returns a working directory in which nothing has happened yet.
func (s *scratch) open() (string, error) {
	if s.dir != "" {
		return s.dir, nil
	}
	dir, err := s.fresh()
	if err != nil && s.root != "" {
		// What was left in the lane's folder may be in the way, or its permissions.
		s.leave()
		dir, err = s.fresh()
	}
	return dir, err
}

func (s *scratch) fresh() (dir string, err error) {
	if s.root == "" {
		if s.root, err = s.in.add(); err != nil {
			return "", err
		}
	}
	s.count++
	dir = filepath.Join(s.root, strconv.Itoa(s.count))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	for _, name := range folders {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			return "", err
		}
	}
	s.dir = dir
	if s.marks, err = s.look(); err != nil {
		s.dir = ""
		return "", err
	}
	s.made = time.Now()
	return dir, nil
}

// spill is where an input is kept that is too large for memory.
func (s *scratch) spill() string { return filepath.Join(s.root, "stdin") }

// close ends an attempt that started at start. It keeps the directory only if
// the attempt left no trace in it, and never for the zero time.
func (s *scratch) close(start time.Time) {
	if s.dir == "" || !start.IsZero() && s.pristine(start) {
		return
	}
	s.dir, s.marks = "", nil
	list, err := os.ReadDir(s.root)
	for _, entry := range list {
		err = cmp.Or(err, removeAll(filepath.Join(s.root, entry.Name())))
	}
	if err != nil {
		s.leave()
	}
}

// leave gives up the folder of the lane; the next attempt gets another one.
func (s *scratch) leave() {
	if s.root != "" {
		s.in.remove(s.root)
	}
	s.root, s.dir, s.marks = "", "", nil
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
