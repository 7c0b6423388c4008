package node

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// freeAt is how many bytes an ordinary user may still write to a folder's file
// system.
func freeAt(folder string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(folder, &st); err != nil {
		return 0, fmt.Errorf("free space of %s: %w", folder, err)
	}
	return int64(st.Bavail) * int64(st.Bsize), nil
}
