package firstyear

import (
	"context"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/chaos/check"
	"github.com/runnerbean/runnerbean/chaos/internal/testbed"
)

// kinds of C13. Its clock is moved by 12 hours at a time.
var kinds = []kind{
	{program: "keeper", keep: 2 * day, state: "succeeded", share: 4},
	{program: "keeper", asks: "12h", keep: day / 2, state: "succeeded", share: 4},
	{program: "keeper", asks: "forever", state: "succeeded", share: 1},
	{program: "echo", asks: map[string]string{"succeeded": "1d"}, keep: day, state: "succeeded", share: 4},
	{program: "brief", keep: day / 4, state: "succeeded", share: 4},
	{program: "refuse", asks: map[string]string{"succeeded": "forever", "failed": "12h"}, keep: day / 2, state: "failed", share: 2},
}

// retention is a pool whose jobs are deleted while nodes are killed.
type retention struct {
	pool *pool
	rng  *rand.Rand
	list []*job
	size []int64 // of the ledger after each round
}

// Retention runs rounds of jobs that are deleted after hours, by a clock that is moved.
func Retention(ctx context.Context, bed *testbed.Testbed) error {
	today, err := bed.Config.Builds.Today(ctx)
	if err != nil {
		return err
	}
	p, err := newPool(bed, "", bed.Dir, map[string]string{"LEASE": "3s", "KEEP": "2d"})
	if err != nil {
		return err
	}
	if err := p.moveable(); err != nil {
		return err
	}
	if err := p.installKinds("6h"); err != nil {
		return err
	}
	if err := p.start(ctx, today); err != nil {
		return err
	}
	defer p.poll.Close()
	r := &retention{pool: p, rng: bed.Random("retention")}
	for range testbed.Pick(bed, 24, 4) {
		if err := r.round(ctx); err != nil {
			return err
		}
	}
	return r.end(ctx)
}

// round runs jobs, moves the clock, and kills nodes while they delete the jobs whose time
// is over.
func (r *retention) round(ctx context.Context) error {
	list := makeJobs(r.pool.bed, r.rng, kinds, testbed.Pick(r.pool.bed, 300, 80), 3000)
	r.list = append(r.list, list...)
	r.pool.load().Submit(ctx, plain(list), 0)
	r.pool.poll.AwaitEnds(ctx, 20*time.Second)
	if err := r.byHand(ctx, list); err != nil {
		return err
	}
	if err := r.pool.move(ctx, day/2); err != nil {
		return err
	}
	looking, stop := context.WithCancel(ctx)
	looked := make(chan struct{})
	go func() {
		defer close(looked)
		r.lookAround(looking)
	}()
	err := r.killSome(ctx)
	stop()
	<-looked
	if info, statErr := os.Stat(r.pool.at.Ledger); statErr == nil {
		r.size = append(r.size, info.Size())
	}
	return err
}

// lookAround looks at the parts of random jobs until ctx ends.
func (r *retention) lookAround(ctx context.Context) {
	rng := r.pool.bed.Random("look" + r.pool.offset.String())
	var parts []*job
	for _, j := range r.list {
		if j.kind.hasParts() {
			parts = append(parts, j)
		}
	}
	for testbed.Sleep(ctx, 2*time.Millisecond) {
		r.pool.lookAt(context.WithoutCancel(ctx), r.pool.nodes[rng.IntN(len(r.pool.nodes))], parts[rng.IntN(len(parts))])
	}
}

// killSome kills nodes while they delete jobs, or remove their objects some seconds later, and
// starts them again.
func (r *retention) killSome(ctx context.Context) error {
	for range testbed.Pick(r.pool.bed, 3, 1) {
		if r.rng.IntN(2) == 0 {
			r.awaitDeletion(ctx)
			testbed.Sleep(ctx, time.Duration(r.rng.IntN(150))*time.Millisecond)
		} else {
			testbed.Sleep(ctx, time.Duration(r.rng.IntN(8000))*time.Millisecond)
		}
		if err := r.pool.restart(ctx); err != nil {
			return err
		}
	}
	return nil
}

// awaitDeletion waits until a job is deleted, for some seconds at most: there may be no
// more.
func (r *retention) awaitDeletion(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 7*time.Second)
	defer cancel()
	r.pool.readAll(ctx, r.list)
	var list []*job
	for _, j := range r.list {
		if j.kind.keep > 0 && !j.gone {
			list = append(list, j)
		}
	}
	r.rng.Shuffle(len(list), func(i, k int) { list[i], list[k] = list[k], list[i] })
	list = list[:min(20, len(list))]
	_ = testbed.Until(ctx, 10*time.Millisecond, "a job is deleted", func() bool {
		r.pool.readAll(ctx, list)
		return slices.ContainsFunc(list, func(j *job) bool { return j.gone })
	})
}

// byHand deletes a few jobs by their ids, and asks what a prune would delete, which
// deletes nothing.
func (r *retention) byHand(ctx context.Context, list []*job) error {
	n := r.pool.nodes[r.rng.IntN(len(r.pool.nodes))]
	if _, err := r.pool.command(ctx, n, "prune", "--older", "6h", "--dry-run"); err != nil {
		return err
	}
	args := []string{"delete", "--yes"}
	for _, j := range list[:5] {
		r.pool.bed.History.Note(check.Event{What: check.Remove, Job: j.doc.ID})
		args = append(args, j.doc.ID)
	}
	if _, err := r.pool.command(ctx, n, args...); err != nil {
		return err
	}
	for _, j := range list[:5] {
		if j.gone = r.pool.bed.GetResult(ctx, n, j.doc, true).Gone(); !j.gone {
			r.pool.bed.History.MeasureLeast(j.doc.ID+" is gone after the command delete", 0, 1)
		}
		r.pool.bed.Submit(ctx, n, j.doc) // the id cannot be used again
	}
	return nil
}

// end moves the clock past the time of each job and demands that nothing is left of
// those that are not kept for ever.
func (r *retention) end(ctx context.Context) error {
	if err := r.pool.move(ctx, 4*day); err != nil {
		return err
	}
	if err := r.pool.restart(ctx); err != nil {
		return err
	}
	var due []*job
	gone := map[string]bool{}
	for _, j := range r.list {
		if j.kind.keep > 0 {
			due = append(due, j)
			gone[j.doc.ID] = true
		}
	}
	if err := r.pool.awaitGone(ctx, due, 0); err != nil {
		return err
	}
	for i, j := range r.list {
		if j.kind.hasParts() {
			r.pool.lookAt(ctx, r.pool.nodes[i%len(r.pool.nodes)], j)
		}
	}
	if err := r.objectsGo(ctx, gone); err != nil {
		return err
	}
	// What was deleted makes room for what comes.
	half := r.size[len(r.size)/2-1]
	r.pool.bed.History.Measure("MiB of the ledger after all rounds (twice those after half of them, or 1 more)",
		mib(r.size[len(r.size)-1]), max(2*mib(half), mib(half)+1))
	return r.pool.conclude(ctx, plain(r.list), 20*time.Second)
}

// objectsGo demands that the store loses the objects of deleted jobs.
func (r *retention) objectsGo(ctx context.Context, gone map[string]bool) error {
	waiting, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var left []string
	if err := testbed.Until(waiting, 500*time.Millisecond, "the store has no objects of deleted jobs", func() bool {
		left = r.pool.leftObjects(gone)
		return len(left) == 0
	}); err != nil {
		r.pool.bed.History.Logf("objects of deleted jobs: %s", strings.Join(left, " "))
	}
	r.pool.bed.History.Measure("objects of deleted jobs in the store", float64(len(left)), 0)
	return ctx.Err()
}

// mib returns a size in MiB, rounded to tenths.
func mib(bytes int64) float64 { return float64(bytes*10>>20) / 10 }
