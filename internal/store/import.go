package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"time"

	"golang.org/x/sys/unix"

	"github.com/runnerbean/runnerbean/internal/filelock"
)

// ErrNotEmpty is returned by BeginImport for a folder that holds something.
var ErrNotEmpty = errors.New("store: the folder is not empty")

// Import fills an empty folder with the objects of a store. Nothing is on the disk for
// sure before Finish.
type Import struct {
	root    *os.Root
	top     *os.File // the same folder
	marker  *os.File
	folders map[string]bool // that are there
}

// BeginImport begins to fill the folder at url, which is absent or empty, and marks it.
// It empties a folder in which an import was killed. It returns ErrNotEmpty, or
// filelock.ErrHeld if another process imports. The caller calls Finish or Close.
func BeginImport(url string) (*Import, error) {
	if IsBucket(url) {
		return nil, errors.New("store: RUNNERBEAN_STORE is a bucket: copy its objects back with the tools of its server")
	}
	dir, err := folderOf(url)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, folderPerm); err != nil {
		return nil, fmt.Errorf("store: %w", full(err))
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	im := &Import{root: root, folders: map[string]bool{}}
	if err := im.begin(); err != nil {
		return nil, errors.Join(fmt.Errorf("store: %s: %w", dir, full(err)), im.Close())
	}
	return im, nil
}

func (im *Import) begin() (err error) {
	if im.top, err = im.root.Open("."); err != nil {
		return err
	}
	entries, err := fs.ReadDir(im.root.FS(), ".")
	if err != nil {
		return err
	}
	marked := false
	for _, e := range entries {
		marked = marked || e.Name() == restoringFile
	}
	if len(entries) > 0 && !marked && !onlyTemp(entries) {
		return ErrNotEmpty
	}
	if im.marker, err = im.root.OpenFile(restoringFile, os.O_CREATE|os.O_RDWR, filePerm); err != nil {
		return err
	}
	if err := filelock.Try(im.marker); err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() == restoringFile {
			continue
		}
		if err := im.root.RemoveAll(e.Name()); err != nil {
			return err
		}
	}
	return im.top.Sync()
}

// onlyTemp reports whether a folder has nothing but what opening a store makes, and what
// making a file system makes.
func onlyTemp(entries []fs.DirEntry) bool {
	for _, e := range entries {
		if e.Name() != tempRoot && e.Name() != "lost+found" {
			return false
		}
	}
	return true
}

// Put writes an object of size bytes. Each key is put once.
func (im *Import) Put(ctx context.Context, key string, size int64, mod time.Time, r io.Reader) error {
	if err := CheckKey(key); err != nil {
		return err
	}
	dir := path.Dir(key)
	if !im.folders[dir] {
		if err := im.root.MkdirAll(dir, folderPerm); err != nil {
			return fault(key, err)
		}
		im.folders[dir] = true
	}
	f, err := im.root.OpenFile(key, os.O_CREATE|os.O_EXCL|os.O_WRONLY, filePerm)
	if err != nil {
		return fault(key, err)
	}
	n, err := fill(ctx, f, io.LimitReader(r, size))
	if err == nil && n < size {
		err = io.ErrUnexpectedEOF
	}
	if err = errors.Join(err, syncOne(f), f.Close()); err != nil {
		return fault(key, err)
	}
	return im.root.Chtimes(key, mod, mod)
}

// Free returns how many bytes an unprivileged user can still write to the file system.
func (im *Import) Free() (int64, error) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(im.top.Fd()), &st); err != nil {
		return 0, fmt.Errorf("store: free space: %w", err)
	}
	return int64(st.Bavail) * int64(st.Bsize), nil
}

// Finish writes the identity of the store and brings everything to the disk. The folder
// stays marked until Unmark.
func (im *Import) Finish(id Identity) error {
	if err := syncAll(im.top); err != nil {
		return fmt.Errorf("store: %w", full(err))
	}
	text, err := id.text()
	if err != nil {
		return err
	}
	f, err := im.root.OpenFile(identityFile, os.O_CREATE|os.O_EXCL|os.O_WRONLY, filePerm)
	if err != nil {
		return fmt.Errorf("store: identity: %w", full(err))
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close(), im.top.Sync()); err != nil {
		return fmt.Errorf("store: identity: %w", full(err))
	}
	return nil
}

// Unmark removes the mark. A node that finds it beside a complete pair does so, too.
func (im *Import) Unmark() error {
	return errors.Join(im.root.Remove(restoringFile), im.top.Sync())
}

// Close closes what the import has open. It leaves the folder as it is.
func (im *Import) Close() error {
	errs := []error{im.root.Close()}
	for _, f := range []*os.File{im.top, im.marker} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}
