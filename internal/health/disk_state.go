package health

import (
	"cmp"
	"slices"

	"github.com/runnerbean/runnerbean/api"
)

// fullest is the disk of a node that has the least room above its floor; low
// is whether it is nearly full.
func fullest(n api.Node) (d api.Disk, low bool) {
	if n.Vitals == nil || len(n.Vitals.Disks) == 0 {
		return d, false
	}
	d = slices.MinFunc(n.Vitals.Disks, func(a, b api.Disk) int { return int(min(1, max(-1, (a.Free-a.Floor)-(b.Free-b.Floor)))) })
	return d, d.Free < d.Floor || d.Free < 2*d.Floor && d.Free < d.Total/10 || d.Free < d.Total/50
}

// Scarcest is the disk with the least room above its floor.
func Scarcest(disks []api.Disk) (api.Disk, bool) {
	if len(disks) == 0 {
		return api.Disk{}, false
	}
	return slices.MinFunc(disks, func(a, b api.Disk) int { return cmp.Compare(a.Free-a.Floor, b.Free-b.Floor) }), true
}

// DiskTone warns while there is still time to do something.
func DiskTone(d api.Disk) string {
	switch {
	case d.Free < d.Floor:
		return "bad"
	case d.Free < 4*d.Floor || d.Total > 0 && d.Free < d.Total/20:
		return "warn"
	}
	return ""
}
