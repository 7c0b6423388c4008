package store

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// A file without a name saves the link and the unlink of a temporary one, about
// an eighth of the time of a create on ext4, and leaves nothing to sweep.

// canUnnamed tries whether this file system has files without a name, and /proc
// the way to give them one.
func (s *Store) canUnnamed() bool {
	f, err := openUnnamed(s.temp.lock)
	if err != nil {
		return false
	}
	defer f.Close()
	const name = "probe"
	if linkUnnamed(f, s.temp.lock, name) != nil {
		return false
	}
	return s.root.Remove(s.temp.path+"/"+name) == nil
}

func openUnnamed(dir *os.File) (*os.File, error) {
	for {
		fd, err := unix.Openat(int(dir.Fd()), ".", unix.O_TMPFILE|unix.O_WRONLY|unix.O_CLOEXEC, filePerm)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, &os.PathError{Op: "open", Path: dir.Name(), Err: err}
		}
		return os.NewFile(uintptr(fd), "unnamed"), nil
	}
}

func linkUnnamed(f, dir *os.File, name string) error {
	from := "/proc/self/fd/" + strconv.Itoa(int(f.Fd()))
	err := unix.Linkat(unix.AT_FDCWD, from, int(dir.Fd()), name, unix.AT_SYMLINK_FOLLOW)
	if err != nil {
		return &os.LinkError{Op: "link", Old: from, New: name, Err: err}
	}
	return nil
}
