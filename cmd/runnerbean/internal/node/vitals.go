package node

import (
	"context"
	"encoding/json"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/internal/vitals"
)

// vitalsWait is how long a heartbeat waits for a disk that does not answer.
const vitalsWait = time.Second

// places are the folders that the node writes to, or reads programs from.
func (n *Node) places() []vitals.Place {
	floor := int64(n.Settings.MinFree)
	places := []vitals.Place{{Path: n.Settings.Data, Use: "data", Floor: floor}}
	if path, ok := strings.CutPrefix(n.Settings.Ledger, "sqlite:"); ok {
		places = append(places, vitals.Place{Path: filepath.Dir(path), Use: "ledger", Floor: floor})
	}
	return append(places,
		vitals.Place{Path: storeFolder(n.Settings.Store), Use: "store", Floor: floor},
		vitals.Place{Path: n.scratch(), Use: "scratch"},
		vitals.Place{Path: n.Settings.Programs, Use: "programs"},
	)
}

// storeFolder is the folder of a store that was opened.
func storeFolder(raw string) string {
	if u, err := url.Parse(raw); err == nil && u.Scheme == "file" {
		return u.Path
	}
	return raw
}

// vitals are what the heartbeat says of this machine; nil for nothing.
func (n *Node) vitals() []byte {
	ctx, cancel := context.WithTimeout(context.Background(), vitalsWait)
	defer cancel()
	v := n.machine.Read(ctx)
	if v.At.IsZero() {
		return nil
	}
	v.Processes, v.Quarantine = n.worker.Processes(), n.worker.Quarantine()
	text, err := json.Marshal(v)
	if err != nil {
		n.log.Error("what this machine does cannot be said", "node", n.Settings.Node, "err", err)
		return nil
	}
	return text
}
