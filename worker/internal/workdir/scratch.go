package workdir

import (
	"cmp"
	"os"
	"path/filepath"
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
	paths        []string           // of root, dir (at dirIndex) and its folders
	fingerprints []fingerprint.File // of paths, when they were made
	made         time.Time
	checked      time.Time // when Close found nothing changed; zero for never
	count        int
}

// recheckAfter is how long after Close the next Open looks at the folders in the directory
// again. Before, it only looks whether the directory has all of them.
const recheckAfter = 100 * time.Millisecond

const dirIndex = 1

// NewScratch returns a Scratch that makes its folder on the first use.
func (r *Root) NewScratch() *Scratch { return &Scratch{in: r} }

// Open returns a working directory that is empty but for its folders.
func (s *Scratch) Open() (string, error) {
	if s.dir != "" {
		if time.Since(s.checked) < recheckAfter && s.same(dirIndex, dirIndex+1) || s.same(0, len(s.paths)) {
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
	s.paths = append(s.paths[:0], s.root, dir)
	for _, name := range folders {
		s.paths = append(s.paths, dir+"/"+name)
	}
	if s.fingerprints, err = s.currentFingerprints(); err != nil {
		s.dir = ""
		return "", err
	}
	s.made = time.Now()
	return dir, nil
}

// InputPath returns the path of the file for an input that is too large for memory.
func (s *Scratch) InputPath() string { return s.root + "/stdin" }

// CheckpointPath returns the path of the file for a checkpoint that is packed or unpacked.
func (s *Scratch) CheckpointPath() string { return s.root + "/checkpoint" }

// Close ends the attempt that began at start. It removes the working directory unless
// nothing has changed in it; for the zero time it always does.
func (s *Scratch) Close(start time.Time) {
	if s.dir == "" {
		return
	}
	if !start.IsZero() && s.unchanged(start) {
		s.checked = time.Now()
		return
	}
	s.dir, s.checked = "", time.Time{}
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
	s.root, s.dir, s.checked = "", "", time.Time{}
}

// unchanged reports whether nothing has changed since the directory was made.
func (s *Scratch) unchanged(start time.Time) bool {
	return s.same(0, len(s.paths)) && (start.Sub(s.made) > timestampTick || s.isEmpty())
}

// same reports whether some of the fingerprints are those of then.
func (s *Scratch) same(from, to int) bool {
	if len(s.fingerprints) != len(s.paths) {
		return false
	}
	for i := from; i < to; i++ {
		if now, err := fingerprint.Lstat(s.paths[i]); err != nil || now != s.fingerprints[i] {
			return false
		}
	}
	return true
}

// currentFingerprints returns those of the root, the directory and its folders.
func (s *Scratch) currentFingerprints() ([]fingerprint.File, error) {
	list := make([]fingerprint.File, len(s.paths))
	for i, path := range s.paths {
		var err error
		if list[i], err = fingerprint.Lstat(path); err != nil {
			return nil, err
		}
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
