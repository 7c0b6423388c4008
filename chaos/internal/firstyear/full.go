package firstyear

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/chaos/check"
)

// fillDisk fills the disk until the nodes take no more work, and makes room by a prune. The
// ballast is removed only after that.
func (y *year) fillDisk(ctx context.Context, n int) error {
	if err := y.disk.measure(); err != nil {
		return err
	}
	ballast, err := y.disk.fill(minFree - 1<<20)
	if err != nil {
		return err
	}
	history := y.pool.bed.History
	for _, node := range y.pool.nodes {
		said := ""
		err := y.pool.within(ctx, 3*time.Minute, node.Process.Name+" takes no more work", func(ctx context.Context) bool {
			var status int
			status, said = ready(ctx, node)
			return status == http.StatusServiceUnavailable && strings.Contains(said, "RUNNERBEAN_MIN_FREE")
		})
		if err != nil {
			return fmt.Errorf("%w: %s", err, said)
		}
	}
	if status := y.pool.bed.Submit(ctx, y.pool.nodes[0], makeJob(y.pool.bed, y.rng, &y.kinds[0], 100).doc); status != http.StatusServiceUnavailable {
		history.Measure("status of a POST to a node without space", float64(status), http.StatusServiceUnavailable)
	}
	if err := y.prune(ctx); err != nil {
		return err
	}
	for _, node := range y.pool.nodes {
		err := y.pool.within(ctx, 3*time.Minute, node.Process.Name+" takes work again", func(ctx context.Context) bool {
			status, _ := ready(ctx, node)
			return status == http.StatusOK
		})
		if err != nil {
			return err
		}
	}
	probe, err := y.pool.runOne(ctx, y.pool.nodes[0], time.Minute)
	if err != nil {
		return err
	}
	y.all = append(y.all, &job{doc: probe, kind: &y.kinds[0], week: n})
	return os.Remove(ballast)
}

// prune deletes what is older than a week, more than half of all jobs.
func (y *year) prune(ctx context.Context) error {
	asked := time.Now()
	_, err := y.pool.command(ctx, y.pool.nodes[y.rng.IntN(2)], "prune", "--older", "7d", "--yes")
	y.pool.bed.History.Note(check.Event{T: asked.UnixNano(), Took: int64(time.Since(asked)), What: check.Prune, N: week.Seconds()})
	return err
}
