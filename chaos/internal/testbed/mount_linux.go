package testbed

import (
	"fmt"
	"syscall"
)

// Mount mounts a new file system of size bytes.
func Mount(path string, size int) error {
	return syscall.Mount("tmpfs", path, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0755", size))
}

// Unmount detaches the file system, which exists until the last process has
// closed its files there.
func Unmount(path string) { _ = syscall.Unmount(path, syscall.MNT_DETACH) }

// Space returns the bytes of a file system that are in use and free.
func Space(path string) (used, free int64, err error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(path, &s); err != nil {
		return 0, 0, fmt.Errorf("space of %s: %w", path, err)
	}
	return int64(s.Blocks-s.Bfree) * s.Bsize, int64(s.Bavail) * s.Bsize, nil
}
