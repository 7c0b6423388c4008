// Package fingerprint tells whether a file has changed since it was looked at.
package fingerprint

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// File identifies the state of a file. Every change of the file changes
// it, because only the kernel sets ctime. The zero value stands for no file.
type File struct {
	dev, ino     uint64
	mode         uint32
	uid          uint32
	size         int64
	mtime, ctime time.Duration
}

// Of returns the fingerprint that st describes.
func Of(st *unix.Stat_t) File {
	return File{
		dev: uint64(st.Dev), ino: st.Ino, mode: uint32(st.Mode), uid: st.Uid, size: st.Size,
		mtime: time.Duration(st.Mtim.Nano()), ctime: time.Duration(st.Ctim.Nano()),
	}
}

// Folder returns the part that stays the same while files come and go in a
// folder.
func (f File) Folder() File {
	return File{dev: f.dev, ino: f.ino, mode: f.mode, uid: f.uid}
}

// Is reports whether the file is of a kind, such as unix.S_IFDIR.
func (f File) Is(kind uint32) bool { return f.mode&unix.S_IFMT == kind }

// Mode returns the permissions, with the bits for setuid, setgid and sticky.
func (f File) Mode() uint32 { return f.mode & 0o7777 }

// Lstat returns the fingerprint of what is at path. It does not follow links.
func Lstat(path string) (File, error) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return File{}, &fs.PathError{Op: "lstat", Path: path, Err: err}
	}
	return Of(&st), nil
}

// Fstat returns the fingerprint of an open file.
func Fstat(f *os.File) (File, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return File{}, &fs.PathError{Op: "fstat", Path: f.Name(), Err: err}
	}
	return Of(&st), nil
}

// Trusted returns an error if a user other than root and the node's could have
// made or could change the file or folder.
func (f File) Trusted() error {
	if f.uid != 0 && f.uid != uint32(os.Geteuid()) {
		return fmt.Errorf("belongs to user %d, and must belong to root or to user %d", f.uid, os.Geteuid())
	}
	if f.mode&0o022 != 0 {
		return fmt.Errorf("is writable by others (mode %04o; chmod go-w)", f.Mode())
	}
	return nil
}

// OpenRegular opens a regular file for reading. It refuses all else, links
// included. The caller closes the file.
func OpenRegular(path string) (*os.File, File, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, File{}, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	f := os.NewFile(uintptr(fd), path)
	m, err := Fstat(f)
	if err == nil && !m.Is(unix.S_IFREG) {
		err = errors.New("is not a regular file")
	}
	if err != nil {
		f.Close()
		return nil, m, err
	}
	return f, m, nil
}
