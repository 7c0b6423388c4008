package workdir

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/runnerbean/runnerbean/worker/internal/fingerprint"
)

// folders are in every working directory when its program starts.
var folders = []string{"inputs", "out", "checkpoint", "tmp"}

// timestampTick is the time after which a second change of a folder gets another time
// stamp than the first: file systems count in ticks of some milliseconds.
const timestampTick = 50 * time.Millisecond

// Scratch makes the working directories of one executor. To make and remove folders
// costs more than to run a small program, so it uses a directory again if the attempt
// has changed nothing in it.
type Scratch struct {
	in           *Root
	root         string             // of the executor; empty if there is none
	dir          string             // working directory of the attempt; empty if there is none
	fingerprints []fingerprint.File // of root, dir and its folders, when they were made
	made         time.Time
	count        int
}

// NewScratch returns a Scratch that makes its folder on the first use.
func (r *Root) NewScratch() *Scratch { return &Scratch{in: r} }

// Open returns a working directory that is empty but for its folders.
func (s *Scratch) Open() (string, error) {
	if s.dir != "" {
		if now, err := s.currentFingerprints(); err == nil && slices.Equal(now, s.fingerprints) {
			return s.dir, nil
		}
		s.Abandon() // somebody has removed or changed it since the last attempt
	}
	dir, err := s.fresh()
	if err != nil && s.root != "" {
		// What an attempt has left may be in the way, or its permissions.
		s.Abandon()
		dir, err = s.fresh()
	}
	return dir, err
}

// fresh makes a new working directory.
func (s *Scratch) fresh() (dir string, err error) {
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
	if s.fingerprints, err = s.currentFingerprints(); err != nil {
		s.dir = ""
		return "", err
	}
	s.made = time.Now()
	return dir, nil
}

// InputPath returns the path of the file for an input that is too large for memory.
func (s *Scratch) InputPath() string { return filepath.Join(s.root, "stdin") }

// Close ends the attempt that began at start. It removes the working directory unless
// nothing has changed in it; for the zero time it always does.
func (s *Scratch) Close(start time.Time) {
	if s.dir == "" || !start.IsZero() && s.unchanged(start) {
		return
	}
	s.dir, s.fingerprints = "", nil
	list, err := os.ReadDir(s.root)
	for _, entry := range list {
		err = cmp.Or(err, removeAll(filepath.Join(s.root, entry.Name())))
	}
	if err != nil {
		s.Abandon()
	}
}

// Abandon gives up the folder of the executor. The next attempt gets another one.
func (s *Scratch) Abandon() {
	if s.root != "" {
		s.in.remove(s.root)
	}
	s.root, s.dir, s.fingerprints = "", "", nil
}

// unchanged reports whether nothing has changed since the directory was made.
func (s *Scratch) unchanged(start time.Time) bool {
	now, err := s.currentFingerprints()
	if err != nil || !slices.Equal(now, s.fingerprints) {
		return false
	}
	return start.Sub(s.made) > timestampTick || s.isEmpty()
}

// currentFingerprints returns those of the root, the directory and its folders.
func (s *Scratch) currentFingerprints() ([]fingerprint.File, error) {
	list := make([]fingerprint.File, 0, 2+len(folders))
	paths := []string{s.root, s.dir}
	for _, name := range folders {
		paths = append(paths, s.dir+"/"+name)
	}
	for _, path := range paths {
		f, err := fingerprint.Lstat(path)
		if err != nil {
			return nil, err
		}
		list = append(list, f)
	}
	return list, nil
}

// isEmpty reports whether there are only the empty folders of a new directory.
func (s *Scratch) isEmpty() bool {
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
