package node

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
	"github.com/runnerbean/runnerbean/internal/vitals"
)

// vitalsTimeout bounds how long a heartbeat waits for a disk that does not answer.
const vitalsTimeout = time.Second

// recentDrop is how long the node tells of a line of its log that was dropped.
const recentDrop = 5 * time.Minute

// places returns the folders that the node writes to or reads programs from.
func places(set settings.Settings, scratch string, reusable func() int64) []vitals.Place {
	floor := int64(set.MinFree)
	list := []vitals.Place{
		{Path: set.Data, Use: "data", Floor: floor},
		{Path: scratch, Use: "scratch"},
		{Path: set.Programs, Use: "programs"},
	}
	if folder := set.StoreFolder(); folder != "" {
		list = slices.Insert(list, 1, vitals.Place{Path: folder, Use: "store", Floor: floor})
	}
	if folder := set.LedgerFolder(); folder != "" {
		list = slices.Insert(list, 1, vitals.Place{Path: folder, Use: "ledger", Floor: floor, Reusable: reusable})
	}
	return list
}

// vitals returns what the heartbeat says of this machine, as JSON; nil where nothing
// has been measured yet.
func (n *Node) vitals() []byte {
	v := n.readMachine()
	if v.At.IsZero() {
		return nil
	}
	v.Processes, v.Warm, v.Quarantine, v.Trouble = n.worker.Processes(), n.worker.Warm(), n.worker.Quarantine(), n.worker.Trouble()
	if most := readLimits(len(n.set.Beanstalkd)).slots(); most < api.MaxSlots {
		v.MaxSlots = most
	}
	if total, last := n.log.Dropped(); time.Since(last) < recentDrop {
		v.LogDropped = total
	}
	text, err := json.Marshal(v)
	if err != nil {
		n.log.Error("cannot encode the vitals of this machine", "node", n.set.Node, "err", err)
		return nil
	}
	return text
}

// readMachine leaves out disks that do not answer within a second.
func (n *Node) readMachine() api.Vitals {
	ctx, cancel := context.WithTimeout(context.Background(), vitalsTimeout)
	defer cancel()
	return n.machine.Read(ctx)
}
