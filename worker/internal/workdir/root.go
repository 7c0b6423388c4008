package workdir

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/runnerbean/runnerbean/internal/retry"
)

// prefix begins the names of the folders of executors. Earlier versions used it, too,
// so that a node removes what they have left.
const prefix = "lane-"

// sweepEvery is how often the node tries again to remove folders.
const sweepEvery = 10 * time.Minute

// Root is the scratch folder of a node. Every executor has a folder in it. One that
// cannot be removed (an immutable file, a mount, another owner) is left behind: the
// executor gets a new one, and the node tries again later.
type Root struct {
	dir    string
	logger *slog.Logger

	mu     sync.Mutex
	used   map[string]bool // by executors
	warned map[string]bool // names of folders that are left behind and in the log
}

// NewRoot returns the scratch folder dir, which must exist.
func NewRoot(dir string, logger *slog.Logger) *Root {
	return &Root{dir: dir, logger: logger, used: map[string]bool{}, warned: map[string]bool{}}
}

// Probe returns an error if nothing can be written into the folder.
func (r *Root) Probe() error {
	dir, err := r.add()
	if err == nil {
		r.remove(dir)
	}
	return err
}

// add makes a folder for one executor. If that fails it makes dir again: a program,
// which runs as the node's user, may have removed it or its permissions.
func (r *Root) add() (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	dir, err := os.MkdirTemp(r.dir, prefix)
	if err != nil {
		first := err
		_ = os.MkdirAll(r.dir, 0o755)
		_ = os.Chmod(r.dir, 0o755)
		if dir, err = os.MkdirTemp(r.dir, prefix); err == nil {
			r.logger.Warn("the scratch folder could not be used and was made again: look for what removed it or its permissions", "folder", r.dir, "err", first)
		}
	}
	if err == nil {
		r.used[dir] = true
	}
	return dir, err
}

// remove removes a folder that its executor does not use any more.
func (r *Root) remove(dir string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.used, dir)
	r.try(dir)
}

// Sweep removes what earlier executors and earlier instances have left.
func (r *Root) Sweep() {
	r.mu.Lock()
	defer r.mu.Unlock()
	list, err := os.ReadDir(r.dir)
	if err != nil {
		r.logger.Warn("the scratch folder cannot be read; what earlier runs left in it stays", "folder", r.dir, "err", err)
		return
	}
	there := map[string]bool{}
	for _, entry := range list {
		dir := filepath.Join(r.dir, entry.Name())
		if strings.HasPrefix(entry.Name(), prefix) && !r.used[dir] {
			there[folderOf(dir)] = true
			r.try(dir)
		}
	}
	for name := range r.warned {
		if !there[name] {
			delete(r.warned, name)
		}
	}
}

// try removes a folder. It logs once that a folder stays. The caller holds the lock.
func (r *Root) try(dir string) {
	err := removeAll(dir)
	if name := folderOf(dir); err != nil && !r.warned[name] {
		r.warned[name] = true
		r.logger.Warn("a scratch folder cannot be removed; the node works in another one and tries again every "+sweepEvery.String()+
			": look for another owner (ls -l), an immutable file (lsattr, chattr -i) or a mount (findmnt, umount), and remove it",
			"folder", dir, "err", err)
	}
}

// folderOf returns the name of an executor's folder without what flatten adds to it.
func folderOf(dir string) string {
	name, _, _ := strings.Cut(filepath.Base(dir), movedSuffix)
	return name
}

// Watch tries again to remove what is left behind until ctx ends.
func (r *Root) Watch(ctx context.Context) {
	for retry.Sleep(ctx, sweepEvery) {
		r.mu.Lock()
		left := len(r.warned)
		r.mu.Unlock()
		if left > 0 {
			r.Sweep()
		}
	}
}
