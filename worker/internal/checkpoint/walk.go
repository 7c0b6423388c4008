package checkpoint

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"slices"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/runnerbean/runnerbean/internal/bytesize"
)

const (
	// maxEntries bounds the files and folders of a checkpoint, and maxDepth how deep the
	// folders are nested.
	maxEntries = 100_000
	maxDepth   = 32
)

// Refused is the error for what a program has left in checkpoint/ that cannot be kept.
type Refused struct{ reason string }

func (r *Refused) Error() string { return r.reason }

func refuse(format string, args ...any) error { return &Refused{fmt.Sprintf(format, args...)} }

// errChanged is returned if a file was changed while it was read.
var errChanged = errors.New("it was changed while it was packed")

// walk goes through the folder checkpoint/ in a fixed order. It opens nothing but regular
// files and folders, and follows no links: the program may have put anything there.
type walk struct {
	ctx   context.Context
	limit int64 // of the files together, in bytes
	// folder is called for every folder, and file for every regular file, with its path
	// below checkpoint/. Both may be nil.
	folder func(path string) error
	file   func(path string, f *os.File, st *unix.Stat_t) error

	bytes   int64
	entries int
	device  uint64
	list    hash.Hash // of names, kinds, inodes, sizes and times
}

// run goes through the folder at dir. It returns a digest of the list of all files: another
// walk returns the same one if nothing was added, removed, renamed or written meanwhile.
func (w *walk) run(dir string) (digest string, err error) {
	f, err := openFolder(unix.AT_FDCWD, dir)
	if err != nil {
		return "", unreadable("", err)
	}
	defer f.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return "", unreadable("", err)
	}
	w.device, w.list = uint64(st.Dev), sha256.New()
	if err := w.names(f, "", 1); err != nil {
		return "", err
	}
	return string(w.list.Sum(nil)), nil
}

// names goes through one folder. prefix is its path with a slash.
func (w *walk) names(dir *os.File, prefix string, depth int) error {
	names, err := dir.Readdirnames(maxEntries - w.entries + 1)
	if err != nil && !errors.Is(err, io.EOF) {
		return unreadable(prefix, err)
	}
	slices.Sort(names)
	for _, name := range names {
		if err := w.ctx.Err(); err != nil {
			return context.Cause(w.ctx)
		}
		if w.entries++; w.entries > maxEntries {
			return refuse("it has more than %d files and folders", maxEntries)
		}
		if err := w.entry(dir, prefix+name, name, depth); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) entry(dir *os.File, path, name string, depth int) error {
	var st unix.Stat_t
	if err := unix.Fstatat(int(dir.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return unreadable(path, err)
	}
	kind := st.Mode & unix.S_IFMT
	switch {
	case !utf8.ValidString(name):
		return refuse("the name of checkpoint/%q is not UTF-8", path)
	case kind == unix.S_IFLNK:
		return refuse("checkpoint/%q is a symbolic link: put the file itself there", path)
	case kind != unix.S_IFREG && kind != unix.S_IFDIR:
		return refuse("checkpoint/%q is neither a regular file nor a folder", path)
	case kind == unix.S_IFREG && st.Nlink > 1:
		return refuse("checkpoint/%q has another name (a hard link): put a copy there", path)
	case uint64(st.Dev) != w.device:
		return refuse("checkpoint/%q is on another file system", path)
	case kind == unix.S_IFDIR && depth == maxDepth:
		return refuse("its folders are nested more than %d deep", maxDepth)
	}
	if kind == unix.S_IFDIR {
		st.Size, st.Mtim = 0, unix.Timespec{} // what is in it counts
	}
	fmt.Fprintf(w.list, "%q %d %d %d %d\n", path, kind, st.Ino, st.Size, st.Mtim.Nano())
	if kind == unix.S_IFDIR {
		return w.enter(dir, path, name, depth)
	}
	if w.bytes += st.Size; w.limit > 0 && w.bytes > w.limit {
		return refuse("its files are larger than %s together, which is what its working directory may take", bytesize.Size(w.limit))
	}
	if w.file == nil {
		return nil
	}
	return w.open(dir, path, name, &st)
}

func (w *walk) enter(dir *os.File, path, name string, depth int) error {
	if w.folder != nil {
		if err := w.folder(path); err != nil {
			return err
		}
	}
	child, err := openFolder(int(dir.Fd()), name)
	if err != nil {
		return unreadable(path, err)
	}
	defer child.Close()
	return w.names(child, path+"/", depth+1)
}

// open calls file with an open file, which must be the one that was looked at.
func (w *walk) open(dir *os.File, path, name string, seen *unix.Stat_t) error {
	fd, err := unix.Openat(int(dir.Fd()), name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return unreadable(path, err)
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	same := func() bool {
		var st unix.Stat_t
		return unix.Fstat(fd, &st) == nil && st.Ino == seen.Ino && st.Size == seen.Size && st.Mtim == seen.Mtim
	}
	if !same() {
		return errChanged
	}
	if err := w.file(path, f, seen); err != nil {
		return err
	}
	if !same() {
		return errChanged
	}
	return nil
}

// unreadable returns errChanged for a file that has gone or was replaced, and a Refused for one
// that the program has made unreadable.
func unreadable(path string, err error) error {
	vanished := errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP)
	switch {
	case vanished && path == "":
		return refuse("the folder checkpoint is not there any more")
	case vanished:
		return errChanged
	case errors.Is(err, unix.EACCES):
		return refuse("checkpoint/%s cannot be read: %v", path, err)
	}
	return fmt.Errorf("checkpoint/%s cannot be read: %w", path, err)
}

func openFolder(parent int, name string) (*os.File, error) {
	fd, err := unix.Openat(parent, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_DIRECTORY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}
