package store

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/runnerbean/runnerbean/internal/filelock"
)

// tempRoot holds one folder per process that uses the store.
const tempRoot = "tmp"

// tempFolder is where this process writes before it renames. A lock on the
// folder, which ends with the process however that ends, keeps others from
// sweeping it.
type tempFolder struct {
	root *os.Root
	path string
	lock *os.File
	next atomic.Uint64
}

// openTemp sweeps what dead processes left, and makes a folder for this one.
func openTemp(root *os.Root) (*tempFolder, error) {
	if err := root.Mkdir(tempRoot, folderPerm); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	sweep(root)
	for {
		t := &tempFolder{root: root, path: path.Join(tempRoot, kernel+strings.ToLower(rand.Text()))}
		if ok, err := t.claim(); ok || err != nil {
			return t, err
		}
	}
}

// claim makes and locks the folder. It is false where somebody swept the folder
// between the two.
func (t *tempFolder) claim() (bool, error) {
	if err := t.root.Mkdir(t.path, folderPerm); err != nil {
		return false, err
	}
	lock, err := t.root.Open(t.path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	t.lock = lock
	err = filelock.Try(lock)
	if err == nil && t.stillThere() {
		return true, nil
	}
	if errors.Is(err, filelock.ErrHeld) {
		err = nil
	}
	return false, errors.Join(err, lock.Close())
}

func (t *tempFolder) stillThere() bool {
	held, err1 := t.lock.Stat()
	named, err2 := t.root.Stat(t.path)
	return err1 == nil && err2 == nil && os.SameFile(held, named)
}

// create makes an empty file; the caller closes it and removes or renames name. It makes the
// folder again if another machine has swept it after a long time without a file.
func (t *tempFolder) create() (f *os.File, name string, err error) {
	name = path.Join(t.path, strconv.FormatUint(t.next.Add(1), 36))
	f, err = t.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, filePerm)
	if errors.Is(err, fs.ErrNotExist) && t.root.MkdirAll(t.path, folderPerm) == nil {
		f, err = t.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, filePerm)
	}
	return f, name, err
}

// close removes the folder before it gives up the lock.
func (t *tempFolder) close() error {
	return errors.Join(t.root.RemoveAll(t.path), t.lock.Close())
}

// sweepAfter is how long a folder of another machine has had no new file when it is swept.
const sweepAfter = 24 * time.Hour

// kernel begins the names of the folders of this machine, since it was booted.
var kernel = func() string {
	id, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if len(id) < 8 {
		return ""
	}
	return string(id[:8]) + "-"
}()

// sweep removes the folders whose lock is free, because no process uses them. A folder
// that cannot be removed stays; it does not prevent opening a store. On NFS a lock on a
// folder is seen by processes of the same machine only: folders of others are left until
// they are old.
func sweep(root *os.Root) {
	entries, _ := fs.ReadDir(root.FS(), tempRoot)
	for _, e := range entries {
		info, err := e.Info()
		theirs := strings.Contains(e.Name(), "-") && !strings.HasPrefix(e.Name(), kernel)
		if err == nil && (!theirs || time.Since(info.ModTime()) > sweepAfter) {
			_ = sweepOne(root, path.Join(tempRoot, e.Name()))
		}
	}
}

func sweepOne(root *os.Root, name string) error {
	d, err := root.Open(name)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := filelock.Try(d); err != nil {
		return err
	}
	return root.RemoveAll(name)
}
