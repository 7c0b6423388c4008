package node

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/diskuse"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
	"github.com/runnerbean/runnerbean/internal/bytesize"
	"github.com/runnerbean/runnerbean/internal/health"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/panics"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/internal/text"
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
		full := fmt.Sprintf("the disk for %s is %s: %s free, RUNNERBEAN_MIN_FREE is %s", place.what, health.DiskWord(disk), bytesize.Size(free), set.MinFree)
		return &full
	}
	return nil
}

func freeAt(folder string) (int64, error) {
	_, free, err := vitals.DiskSpace(folder)
	return free, err
}

// measureTimeout is how long a node measures what takes the room of a full disk.
const measureTimeout = 10 * time.Second

// disks watches the free space of a node. When a disk becomes full, it measures in the
// background what takes the room, and says that from then on, too.
type disks struct {
	set    settings.Settings
	store  *store.Store
	ledger *ledger.Ledger
	log    *slog.Logger

	room      atomic.Pointer[string] // what takes the room, and what would free it
	measuring sync.WaitGroup
}

// low returns which disk is full, and why, or nil. was says that one had been full at the
// call before.
func (d *disks) low(was bool) *string {
	full := lowDisk(d.set, d.store, was)
	if full == nil {
		d.room.Store(nil)
		return nil
	}
	if !was {
		d.measuring.Go(d.measure)
	}
	if room := d.room.Load(); room != nil {
		*full = text.JoinClauses(*full, *room)
	}
	return full
}

// measure finds out what takes the room.
func (d *disks) measure() {
	if caught := panics.Catch(func() {
		ctx, cancel := context.WithTimeout(context.Background(), measureTimeout)
		defer cancel()
		use := diskuse.Measure(ctx, d.set)
		programs, err := use.Programs(ctx, d.ledger)
		if err != nil {
			d.log.Warn("cannot ask for the programs of the jobs that take room", "node", d.set.Node, "err", err)
		}
		room := text.JoinClauses(text.JoinClauses(use.Text(), programs), use.Advice())
		d.room.Store(&room)
		d.log.Warn("a disk is full", "node", d.set.Node, "room", room)
	}); caught != nil {
		d.log.Error("cannot measure what takes the room of a full disk", "node", d.set.Node, "err", caught, "stack", caught.Stack)
	}
}

// close waits for what is being measured.
func (d *disks) close() { d.measuring.Wait() }
