package worker

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// mark is what identifies the state of a file. Whoever changes the file
// changes the mark: no one but the clock sets ctime.
type mark struct {
	dev, ino     uint64
	mode         uint32
	uid          uint32
	size         int64
	mtime, ctime time.Duration
}

func markOf(st *unix.Stat_t) mark {
	return mark{
		dev: uint64(st.Dev), ino: st.Ino, mode: uint32(st.Mode), uid: st.Uid, size: st.Size,
		mtime: time.Duration(st.Mtim.Nano()), ctime: time.Duration(st.Ctim.Nano()),
	}
}

// folder is the part of a mark that stays while files come and go in a folder.
func (m mark) folder() mark { return mark{dev: m.dev, ino: m.ino, mode: m.mode, uid: m.uid} }

func (m mark) is(format uint32) bool { return m.mode&unix.S_IFMT == format }

// lstat returns the mark of path itself.
func lstat(path string) (mark, error) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return mark{}, &fs.PathError{Op: "lstat", Path: path, Err: err}
	}
	return markOf(&st), nil
}

func fstat(f *os.File) (mark, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return mark{}, &fs.PathError{Op: "fstat", Path: f.Name(), Err: err}
	}
	return markOf(&st), nil
}

// trusted says why somebody other than root or the node's user could have
// made or could change a file or a folder.
func (m mark) trusted() error {
	if m.uid != 0 && m.uid != uint32(os.Geteuid()) {
		return fmt.Errorf("belongs to user %d, and must belong to root or to user %d", m.uid, os.Geteuid())
	}
	if m.mode&0o022 != 0 {
		return fmt.Errorf("is writable by others (mode %04o; chmod go-w)", m.mode&0o7777)
	}
	return nil
}

// opened is the mark of the file that opening path gives.
func opened(path string) (mark, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return mark{}, err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return mark{}, err
	}
	return markOf(&st), nil
}

// openRegular opens a regular file for reading; nothing else, and no link.
func openRegular(path string) (*os.File, mark, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, mark{}, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	f := os.NewFile(uintptr(fd), path)
	m, err := fstat(f)
	if err == nil && !m.is(unix.S_IFREG) {
		err = errors.New("is not a regular file")
	}
	if err != nil {
		f.Close()
		return nil, m, err
	}
	return f, m, nil
}
