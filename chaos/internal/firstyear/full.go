package firstyear

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/chaos/check"
	"github.com/runnerbean/runnerbean/chaos/internal/testbed"
)

// fillPad is the most bytes of the inputs that fill the ledger. Their results are small
// enough for it.
const fillPad = 60_000

// fillDisk fills the disk, and the room inside the ledger's file, until the nodes take no
// more work, and makes room by a prune. The ballast is removed only after that.
func (y *year) fillDisk(ctx context.Context, n int) error {
	// Jobs that are deleted meanwhile would make room.
	if err := y.pool.awaitGone(ctx, y.due, 0); err != nil {
		return err
	}
	if err := y.disk.measure(); err != nil {
		return err
	}
	ballast, err := y.disk.fill(minFree - 1<<20)
	if err != nil {
		return err
	}
	if err := y.useUp(ctx, n); err != nil {
		return err
	}
	probe, err := y.pool.runOne(ctx, y.pool.nodes[0], time.Minute)
	if err != nil {
		return err
	}
	y.all = append(y.all, &job{doc: probe, kind: &y.kinds[0], week: n})
	return os.Remove(ballast)
}

// useUp runs jobs until the nodes take no more, and makes them take work again by a prune.
func (y *year) useUp(ctx context.Context, n int) error {
	posting, cancel := context.WithCancel(ctx)
	defer cancel()
	full, ended := make(chan struct{}), make(chan []*job)
	go func() { ended <- y.runUntil(posting, n, full) }()
	err := y.refuse(ctx)
	close(full)
	if err == nil {
		err = y.makeRoom(ctx)
	}
	if err != nil {
		cancel()
	}
	y.all = append(y.all, <-ended...)
	return err
}

// runUntil runs one job after the other until full is closed, and then the last one to its
// end. Its jobs use the pages inside the ledger's file that deleted jobs left.
func (y *year) runUntil(ctx context.Context, n int, full <-chan struct{}) (list []*job) {
	rng := y.pool.bed.Random("room" + strconv.Itoa(n))
	for ctx.Err() == nil {
		select {
		case <-full:
			return list
		default:
		}
		j := makeJob(y.pool.bed, rng, &y.kinds[0], fillPad)
		j.week = n
		list = append(list, j)
		y.pool.load().Submit(ctx, plain([]*job{j}), 0)
		_ = testbed.Until(ctx, 20*time.Millisecond, "it ends", func() bool {
			return y.pool.bed.GetResult(ctx, y.pool.nodes[0], j.doc, true).Final()
		})
	}
	return list
}

// refuse waits until the nodes take no more work, and demands that they refuse a job.
func (y *year) refuse(ctx context.Context) error {
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
		y.pool.bed.History.Measure("status of a POST to a node without space", float64(status), http.StatusServiceUnavailable)
	}
	return nil
}

// makeRoom prunes, and waits until the nodes take work again.
func (y *year) makeRoom(ctx context.Context) error {
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
	return nil
}

// prune deletes what is older than a week, more than half of all jobs.
func (y *year) prune(ctx context.Context) error {
	asked := time.Now()
	_, err := y.pool.command(ctx, y.pool.nodes[y.rng.IntN(2)], "prune", "--older", "7d", "--yes")
	y.pool.bed.History.Note(check.Event{T: asked.UnixNano(), Took: int64(time.Since(asked)), What: check.Prune, N: week.Seconds()})
	return err
}
