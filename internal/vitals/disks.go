//go:build unix

package vitals

import (
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/runnerbean/runnerbean/api"
)

// disks returns the file systems of places. If several places share a file system, it
// appears once, with the path of the first place and the uses of all. A file system
// that cannot be read is left out.
func disks(places []Place) []api.Disk {
	list := []api.Disk{}
	var systems []uint64
	for _, p := range places {
		var at unix.Stat_t
		if unix.Stat(p.Path, &at) != nil {
			continue
		}
		device := uint64(at.Dev)
		reusable := int64(0)
		if p.Reusable != nil {
			reusable = p.Reusable()
		}
		if i := slices.Index(systems, device); i >= 0 {
			list[i].Use += ", " + p.Use
			list[i].Floor = max(list[i].Floor, p.Floor)
			list[i].Reusable += reusable
			continue
		}
		if total, free, err := DiskSpace(p.Path); err == nil {
			list = append(list, api.Disk{Path: p.Path, Use: p.Use, Total: total, Free: free, Reusable: reusable, Floor: p.Floor})
			systems = append(systems, device)
		}
	}
	return list
}

// DiskSpace returns the size of the file system of path and the space that an ordinary
// user may still write, in bytes.
func DiskSpace(path string) (total, free int64, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return 0, 0, fmt.Errorf("free space of %s: %w", path, err)
	}
	return int64(st.Blocks) * int64(st.Bsize), int64(st.Bavail) * int64(st.Bsize), nil
}

// SameDisk reports whether two paths are on one file system.
func SameDisk(a, b string) bool {
	var at, other unix.Stat_t
	return unix.Stat(a, &at) == nil && unix.Stat(b, &other) == nil && at.Dev == other.Dev
}

// Place is a folder that a node writes to.
type Place struct {
	Path, Use string
	// Floor is the free space in bytes below which the node takes no work.
	Floor int64
	// Reusable returns how many bytes of a file in the folder can be used again. Nil is none.
	Reusable func() int64
}
