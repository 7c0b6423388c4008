package health

import (
	"cmp"
	"slices"

	"github.com/runnerbean/runnerbean/api"
)

// Scarcest returns the disk with the least room above its floor; ok is false where
// there are no disks.
func Scarcest(disks []api.Disk) (d api.Disk, ok bool) {
	if len(disks) == 0 {
		return api.Disk{}, false
	}
	return slices.MinFunc(disks, func(a, b api.Disk) int { return cmp.Compare(a.Free-a.Floor, b.Free-b.Floor) }), true
}

// DiskLevel returns bad for a full disk, which has less free space than its floor, so
// that its node takes no work. It returns warn for a disk that is nearly full.
func DiskLevel(d api.Disk) api.Level {
	switch {
	case d.Free < d.Floor:
		return api.LevelBad
	case d.Free < 4*d.Floor || d.Free < d.Total/50:
		return api.LevelWarn
	}
	return api.LevelOK
}

// DiskWord returns "full", "nearly full", or "" for a disk with enough room.
func DiskWord(d api.Disk) string {
	return map[api.Level]string{api.LevelBad: "full", api.LevelWarn: "nearly full"}[DiskLevel(d)]
}
