package activity

import (
	"context"
	"fmt"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

// Depth is the largest number of jobs in each state during one step of a [History]; -1
// if there was no sample.
type Depth struct {
	Queued, Running, Waiting int64
}

var qDepth = engine.NewQuery(fmt.Sprintf(`INSERT INTO depths (grain, at, waiting, queued, running)
		SELECT steps.grain, steps.at, sums.waiting, sums.queued, sums.running
		FROM (SELECT %d AS grain, CAST(? AS BIGINT) AS at UNION ALL SELECT %d, CAST(? AS BIGINT) UNION ALL SELECT %d, CAST(? AS BIGINT)) AS steps
		CROSS JOIN (SELECT COALESCE(SUM(waiting), 0) AS waiting, COALESCE(SUM(queued), 0) AS queued,
			COALESCE(SUM(running), 0) AS running FROM job_counts) AS sums
		WHERE 1 = 1 ON CONFLICT (grain, at) DO UPDATE SET
		waiting = CASE WHEN excluded.waiting > depths.waiting THEN excluded.waiting ELSE depths.waiting END,
		queued = CASE WHEN excluded.queued > depths.queued THEN excluded.queued ELSE depths.queued END,
		running = CASE WHEN excluded.running > depths.running THEN excluded.running ELSE depths.running END`,
	grains[0].seconds, grains[1].seconds, grains[2].seconds))

// SampleDepth records how many jobs are queued, run and wait now. Call it several times
// a minute. It is not synced to the disk.
func (c *Counters) SampleDepth(ctx context.Context) error {
	err := c.ledger.Do(ctx, engine.Op{Name: "sample-depth", Weight: 1, Soft: true, Run: func(t engine.Tx) error {
		var at []any
		for _, g := range grains {
			at = append(at, engine.Micros(t.Now().Truncate(g.step())))
		}
		_, err := t.Exec(qDepth, at...)
		return err
	}})
	return engine.Wrap("sample depth", err)
}
