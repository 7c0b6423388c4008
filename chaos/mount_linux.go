package main

import (
	"fmt"
	"syscall"
)

// mount mounts a new file system of size bytes.
func mount(path string, size int) error {
	return syscall.Mount("tmpfs", path, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0755", size))
}

// unmount detaches the file system, which exists until the last process has
// closed its files there.
func unmount(path string) { _ = syscall.Unmount(path, syscall.MNT_DETACH) }
