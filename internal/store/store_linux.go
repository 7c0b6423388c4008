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
func (s *disk) canUnnamed() bool {
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

// syncAll brings everything in the file system of a folder to the disk, at once for all
// objects.
func syncAll(top *os.File) error { return unix.Syncfs(int(top.Fd())) }

func syncOne(*os.File) error { return nil }

// openObject opens a key by one call, which keeps to the store's folder as
// os.Root does by one call for each part.
func (s *disk) openObject(key string) (*os.File, error) {
	how := unix.OpenHow{Flags: unix.O_RDONLY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS}
	fd, err := unix.Openat2(int(s.top.Fd()), key, &how)
	switch err {
	case nil:
		return os.NewFile(uintptr(fd), key), nil
	case unix.ENOENT:
		return nil, &os.PathError{Op: "open", Path: key, Err: err}
	}
	return s.root.Open(key) // an old kernel, or an error that this one words better
}
