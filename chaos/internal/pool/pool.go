package pool

import (
	"context"
	"net/http"
	"time"

	"github.com/runnerbean/runnerbean/chaos/check"
	"github.com/runnerbean/runnerbean/chaos/internal/testbed"
)

// pool is three nodes and what they share, each on a network of its own.
type pool struct {
	services
	bed     *testbed.Testbed
	network *network
	nodes   []*testbed.Node
	poll    *testbed.Poller
}

// ready waits until nodes take work. It starts those that have ended, as systemd would.
func (p *pool) ready(ctx context.Context, list ...*testbed.Node) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for _, n := range list {
		err := testbed.Until(ctx, 50*time.Millisecond, n.Process.Name+" is ready", func() bool {
			if !n.Process.Alive() {
				return n.Process.Start() != nil
			}
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.Addr+"/readyz", nil)
			if err != nil {
				return false
			}
			status, _ := testbed.Do(req)
			return status == http.StatusOK
		})
		if err != nil {
			return err
		}
		p.bed.History.Note(check.Event{What: check.Up, Who: n.Process.Name})
	}
	return nil
}
