package health

import (
	"cmp"
	"slices"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/text"
)

// Scarcest returns the disk with the least room above its floor; ok is false where
// there are no disks.
func Scarcest(disks []api.Disk) (d api.Disk, ok bool) {
	if len(disks) == 0 {
		return api.Disk{}, false
	}
	return slices.MinFunc(disks, func(a, b api.Disk) int { return cmp.Compare(room(a)-a.Floor, room(b)-b.Floor) }), true
}

// room returns what new jobs can use of a disk: its free space, and of the room inside the
// ledger's file at most as much again. Larger results, logs, SQLite's log and beanstalkd's
// binlog need free space.
func room(d api.Disk) int64 { return d.Free + min(d.Reusable, d.Free) }

// DiskLevel returns bad for a full disk, which has less room than its floor, so that its
// node takes no work. It returns warn for a disk that is nearly full.
func DiskLevel(d api.Disk) api.Level {
	switch {
	case room(d) < d.Floor:
		return api.LevelBad
	case room(d) < 4*d.Floor || room(d) < d.Total/50:
		return api.LevelWarn
	}
	return api.LevelOK
}

// DiskWord returns "full", "nearly full", or "" for a disk with enough room.
func DiskWord(d api.Disk) string {
	return map[api.Level]string{api.LevelBad: "full", api.LevelWarn: "nearly full"}[DiskLevel(d)]
}

// HalfFree says that half of the floor must be free, if that is why the room inside the
// ledger's file does not count in full; else it is "".
func HalfFree(d api.Disk) string {
	if d.Reusable <= d.Free {
		return ""
	}
	return ", and half of that must be free"
}

// DiskRoom says how much room a disk has: "15 MiB free and 30 MiB inside the ledger's
// file". Where there is plenty of free space, it leaves out the second.
func DiskRoom(d api.Disk) string {
	free := text.Bytes(d.Free) + " free"
	if d.Reusable <= 0 || d.Free >= 4*d.Floor {
		return free
	}
	return free + " and " + text.Bytes(d.Reusable) + " inside the ledger's file"
}
