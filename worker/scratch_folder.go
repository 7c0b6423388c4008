package worker

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// lanePrefix begins the names of the folders in which lanes work.
const lanePrefix = "lane-"

// sweepEvery is how often folders are tried again that could not be removed.
const sweepEvery = 10 * time.Minute

// scratchFolder holds the folders of the lanes. A folder that cannot be removed
// (an immutable file, a mount, another owner) is left behind: every lane works
// in a new one, and the old one is tried again later.
type scratchFolder struct {
	dir    string
	logger *slog.Logger

	mu     sync.Mutex
	used   map[string]bool // by lanes
	warned map[string]bool // lanes of which something was left behind, and the log said so
}

func newScratchFolder(dir string, logger *slog.Logger) *scratchFolder {
	return &scratchFolder{dir: dir, logger: logger, used: map[string]bool{}, warned: map[string]bool{}}
}

// add makes a folder that no other lane has. A program that runs as the node's
// user may have removed or closed the folder around it.
func (f *scratchFolder) add() (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	dir, err := os.MkdirTemp(f.dir, lanePrefix)
	if err != nil {
		_ = os.MkdirAll(f.dir, 0o755)
		_ = os.Chmod(f.dir, 0o755)
		dir, err = os.MkdirTemp(f.dir, lanePrefix)
	}
	if err == nil {
		f.used[dir] = true
	}
	return dir, err
}

// remove removes the folder of a lane that does not use it any more.
func (f *scratchFolder) remove(dir string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.used, dir)
	f.try(dir)
}

// sweep removes what earlier lanes and earlier instances have left.
func (f *scratchFolder) sweep() {
	f.mu.Lock()
	defer f.mu.Unlock()
	list, err := os.ReadDir(f.dir)
	if err != nil {
		f.logger.Warn("the scratch folder cannot be read; what earlier runs left in it stays", "folder", f.dir, "err", err)
		return
	}
	there := map[string]bool{}
	for _, entry := range list {
		dir := filepath.Join(f.dir, entry.Name())
		if strings.HasPrefix(entry.Name(), lanePrefix) && !f.used[dir] {
			there[laneOf(dir)] = true
			f.try(dir)
		}
	}
	for lane := range f.warned {
		if !there[lane] {
			delete(f.warned, lane)
		}
	}
}

// try removes a folder, and warns once of one that stays. The caller holds the
// lock.
func (f *scratchFolder) try(dir string) {
	err := removeAll(dir)
	if lane := laneOf(dir); err != nil && !f.warned[lane] {
		f.warned[lane] = true
		f.logger.Warn("a scratch folder cannot be removed; the node works in another one and tries again every "+sweepEvery.String()+
			": look for another owner (ls -l), an immutable file (lsattr, chattr -i) or a mount (findmnt, umount), and remove it",
			"folder", dir, "err", err)
	}
}

// laneOf is the folder of a lane without what flatten adds to its name.
func laneOf(dir string) string {
	lane, _, _ := strings.Cut(filepath.Base(dir), movedSuffix)
	return lane
}

// watch tries again until ctx ends.
func (f *scratchFolder) watch(ctx context.Context) {
	for sleep(ctx, sweepEvery) {
		f.mu.Lock()
		left := len(f.warned)
		f.mu.Unlock()
		if left > 0 {
			f.sweep()
		}
	}
}
