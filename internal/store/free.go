//go:build unix

package store

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Free returns how many bytes an unprivileged user can still write to the store's file
// system.
func (s *disk) Free() (int64, error) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(s.top.Fd()), &st); err != nil {
		return 0, fmt.Errorf("store: free space: %w", err)
	}
	return int64(st.Bavail) * int64(st.Bsize), nil
}
