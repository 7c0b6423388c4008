package node

import (
	"encoding/json"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
	"github.com/runnerbean/runnerbean/jobs"
)

// TestFullDiskWithRoomInsideTheLedger fills the disk of a node. The node works again when
// deleted jobs have left room inside the ledger's file, if half of the floor is free.
func TestFullDiskWithRoomInsideTheLedger(t *testing.T) {
	t.Parallel()
	const floor = 1 << 20
	n := startNode(t, t.TempDir(), queuetest.Start(t).Addr)
	var free atomic.Int64
	free.Store(2 * floor)
	n.gate.mu.Lock()
	n.disks.set.MinFree = floor
	n.disks.free = func(string) (int64, error) { return free.Load(), nil }
	n.gate.mu.Unlock()
	var old []ledger.Target
	for range 40 {
		old = append(old, ledger.Target{ID: n.submitInput(strings.Repeat("x", 50_000))})
	}
	n.until("the jobs have ended", func() bool {
		for _, one := range old {
			if n.state(one.ID) != jobs.Succeeded {
				return false
			}
		}
		return true
	})
	free.Store(floor - 300<<10) // rows of jobs that ran leave some room in the file
	n.until("it takes no work", func() bool { return n.low() != "" })
	if said := n.low(); !strings.Contains(said, "724 KiB free") || !strings.Contains(said, "RUNNERBEAN_MIN_FREE is 1.0 MiB") {
		t.Error(said)
	}
	if acted, err := n.ledger.Act(t.Context(), ledger.VerbDelete, "ada", old); err != nil || acted[0].Err != nil {
		t.Fatal(acted[0].Err, err)
	}
	n.until("it takes work again", func() bool { return n.low() == "" })
	n.until("the heartbeat tells the room inside the ledger's file", func() bool {
		var v api.Vitals
		return json.Unmarshal(n.row().Vitals, &v) == nil && len(v.Disks) > 0 && v.Disks[0].Reusable > floor
	})
	id := n.submit()
	n.until("a job has ended", func() bool { return n.state(id) == jobs.Succeeded })

	free.Store(floor/2 - 1000)
	n.until("it takes no work without half of the floor", func() bool {
		return strings.Contains(n.low(), "511 KiB free and ") && strings.Contains(n.low(), " inside the ledger's file, RUNNERBEAN_MIN_FREE is 1.0 MiB, and half of that must be free")
	})
	free.Store(floor/2 + floor/20 + 1000)
	n.until("it takes work with half of the floor and a tenth more", func() bool { return n.low() == "" })
}

// TestUnansweringLedgerHasNoRoom checks that a disk counts without the room inside the
// ledger's file while the ledger does not answer.
func TestUnansweringLedgerHasNoRoom(t *testing.T) {
	t.Parallel()
	n := startNode(t, t.TempDir(), queuetest.Start(t).Addr)
	d := &disks{set: n.set, spare: func() {}, ledger: n.ledger, free: func(string) (int64, error) { return int64(n.set.MinFree) - 1, nil }}
	n.stop()
	if full := d.full(false); full == nil || strings.Contains(*full, "inside") || d.reusable() != 0 {
		t.Errorf("%v, %d", full, d.reusable())
	}
}

// low returns why the node takes no work, or "".
func (n *testNode) low() string {
	if low := n.gate.low.Load(); low != nil {
		return *low
	}
	return ""
}
