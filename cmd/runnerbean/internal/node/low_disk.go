package node

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/diskuse"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
	"github.com/runnerbean/runnerbean/internal/dispatch"
	"github.com/runnerbean/runnerbean/internal/health"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/panics"
	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/internal/vitals"
)

// measureTimeout is how long a node measures what takes the room of a full disk.
const measureTimeout = 10 * time.Second

// reusableTimeout bounds how long the ledger is asked for the room inside its file. It is
// shorter than vitalsTimeout, so that a busy ledger leaves out that number only.
const reusableTimeout = 250 * time.Millisecond

// disks watches the free space of a node. When a disk becomes full, it measures in the
// background what takes the room, and says that from then on, too.
type disks struct {
	set    settings.Settings
	ledger *ledger.Ledger
	free   func(folder string) (int64, error)
	spare  func() // frees what the node can do without
	log    *slog.Logger

	room      atomic.Pointer[string] // what takes the room, and what would free it
	measuring sync.WaitGroup
}

// low returns which disk is full, and why, or nil. was says that one had been full at the
// call before.
func (d *disks) low(was bool) *string {
	full := d.full(was)
	if full == nil {
		d.room.Store(nil)
		return nil
	}
	if !was {
		d.measuring.Go(func() { d.spare(); d.measure() })
	}
	if room := d.room.Load(); room != nil {
		*full = text.JoinClauses(*full, *room)
	}
	return full
}

// full returns which file system has less room than MinFree, or nil. was says that one
// had; then a tenth more is needed.
func (d *disks) full(was bool) *string {
	want := int64(d.set.MinFree)
	if was {
		want += want / 10
	}
	ledgerAt, reusable := d.set.LedgerFolder(), sync.OnceValue(d.reusable)
	for _, place := range []struct{ what, path string }{
		{"results", d.set.StoreFolder()},
		{"data", d.set.Data},
		{"the ledger", ledgerAt},
	} {
		if place.path == "" { // it is on another machine
			continue
		}
		free, err := d.free(place.path)
		if err != nil || free >= want {
			continue
		}
		disk := api.Disk{Free: free, Floor: want}
		if ledgerAt != "" && vitals.SameDisk(place.path, ledgerAt) {
			disk.Reusable = reusable()
		}
		if health.DiskLevel(disk) != api.LevelBad {
			continue
		}
		full := fmt.Sprintf("the disk for %s is %s: %s, RUNNERBEAN_MIN_FREE is %s%s", place.what, health.DiskWord(disk), health.DiskRoom(disk), d.set.MinFree, health.HalfFree(disk))
		return &full
	}
	return nil
}

// noRoom returns why nothing large may come now, or nil.
func (d *disks) noRoom() error {
	if full := d.full(false); full != nil {
		return &dispatch.Held{Reason: *full}
	}
	return nil
}

// reusable returns the room inside the ledger's file; 0 if the ledger does not answer.
func (d *disks) reusable() int64 {
	ctx, cancel := context.WithTimeout(context.Background(), reusableTimeout)
	defer cancel()
	size, err := d.ledger.Results.Reusable(ctx)
	if err != nil {
		return 0
	}
	return size
}

func freeAt(folder string) (int64, error) {
	_, free, err := vitals.DiskSpace(folder)
	return free, err
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
