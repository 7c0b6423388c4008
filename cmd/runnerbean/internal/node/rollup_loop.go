package node

import (
	"context"
	"time"
)

const (
	// sampleEvery is how often the length of the queue is noted, rollupEvery how
	// often counters of minutes become those of longer times.
	sampleEvery = 15 * time.Second
	rollupEvery = time.Minute
	// countFor bounds one of both.
	countFor = 10 * time.Second
)

// count keeps the ledger's counters over time until ctx ends. It is not the
// gate's business: that has to look every second.
func (n *Node) count(ctx context.Context) error {
	samples, rollups := time.NewTicker(sampleEvery), time.NewTicker(rollupEvery)
	defer samples.Stop()
	defer rollups.Stop()
	n.counted(ctx, "the length of the queue is not noted", n.Ledger.SampleDepth)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-samples.C:
			n.counted(ctx, "the length of the queue is not noted", n.Ledger.SampleDepth)
		case <-rollups.C:
			n.counted(ctx, "counters are not rolled up; the next try makes up for it", n.Ledger.Rollup)
		}
	}
}

func (n *Node) counted(ctx context.Context, failure string, do func(context.Context) error) {
	bounded, cancel := context.WithTimeout(ctx, countFor)
	defer cancel()
	if err := do(bounded); err != nil && ctx.Err() == nil {
		n.log.Warn(failure, "node", n.Settings.Node, "err", err)
	}
}
