//go:build unix

package vitals

import (
	"slices"

	"golang.org/x/sys/unix"

	"github.com/runnerbean/runnerbean/api"
)

// disks are the file systems of places; one that serves several is told of once,
// under the path of the first and with the uses of all. One that cannot be asked
// is left out.
func disks(places []Place) []api.Disk {
	list := []api.Disk{}
	var systems []uint64
	for _, p := range places {
		var at unix.Stat_t
		if unix.Stat(p.Path, &at) != nil {
			continue
		}
		device := uint64(at.Dev)
		if i := slices.Index(systems, device); i >= 0 {
			list[i].Use += ", " + p.Use
			list[i].Floor = max(list[i].Floor, p.Floor)
			continue
		}
		if d, err := measured(p); err == nil {
			list, systems = append(list, d), append(systems, device)
		}
	}
	return list
}

func measured(p Place) (api.Disk, error) {
	var st unix.Statfs_t
	err := unix.Statfs(p.Path, &st)
	block := int64(st.Bsize)
	return api.Disk{Path: p.Path, Use: p.Use, Total: int64(st.Blocks) * block, Free: int64(st.Bavail) * block, Floor: p.Floor}, err
}
