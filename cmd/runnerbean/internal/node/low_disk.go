package node

import (
	"fmt"
	"path/filepath"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
	"github.com/runnerbean/runnerbean/internal/bytesize"
	"github.com/runnerbean/runnerbean/internal/health"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/internal/vitals"
)

// lowDisk returns which file system has less than MinFree bytes free, or nil. was says
// that one had; then a tenth more must be free.
func lowDisk(set settings.Settings, s *store.Store, was bool) *string {
	want := int64(set.MinFree)
	if was {
		want += want / 10
	}
	for _, place := range []struct {
		what string
		free func() (int64, error)
	}{
		{"results", s.Free},
		{"data", func() (int64, error) { return freeAt(set.Data) }},
		{"the ledger", func() (int64, error) { return freeAt(filepath.Dir(set.LedgerPath())) }},
	} {
		free, err := place.free()
		disk := api.Disk{Free: free, Floor: want}
		if err != nil || health.DiskLevel(disk) != api.LevelBad {
			continue
		}
		text := fmt.Sprintf("the disk for %s is %s: %s free, RUNNERBEAN_MIN_FREE is %s", place.what, health.DiskWord(disk), bytesize.Size(free), set.MinFree)
		return &text
	}
	return nil
}

func freeAt(folder string) (int64, error) {
	_, free, err := vitals.DiskSpace(folder)
	return free, err
}
