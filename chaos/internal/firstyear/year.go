package firstyear

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/runnerbean/runnerbean/chaos/check"
	"github.com/runnerbean/runnerbean/chaos/internal/testbed"
)

// Year lives a year of 52 weeks, or a few weeks in the short form: in each week the clock
// moves, jobs run, and the program is upgraded.
func Year(ctx context.Context, bed *testbed.Testbed) error {
	y := &year{plan: testbed.Pick(bed, fullPlan, shortPlan), rng: bed.Random("year")}
	var err error
	if y.today, err = bed.Config.Builds.Today(ctx); err != nil {
		return err
	}
	if y.old, err = BuildOld(ctx, bed.Config.Builds); err != nil {
		return err
	}
	if y.disk, err = newDisk(bed, y.plan.diskSize); err != nil {
		return err
	}
	defer y.disk.close()
	if err := y.begin(ctx, bed); err != nil {
		return err
	}
	defer y.pool.poll.Close()
	for n := range y.plan.weeks {
		if err := y.week(ctx, n); err != nil {
			return fmt.Errorf("week %d: %w", n, err)
		}
	}
	return y.end(ctx)
}

func (y *year) begin(ctx context.Context, bed *testbed.Testbed) (err error) {
	y.kinds = kindsOfYear(y.plan.keep)
	y.pool, err = newPool(bed, "", y.disk.path, map[string]string{
		"LEASE": "3s", "KEEP": fmt.Sprintf("%dw", y.plan.keep), "MIN_FREE": fmt.Sprint(minFree),
	})
	if err != nil {
		return err
	}
	y.pool.keep = time.Duration(y.plan.keep) * week
	if err := y.pool.moveable(); err != nil {
		return err
	}
	if err := y.pool.installKinds(""); err != nil {
		return err
	}
	return y.pool.start(ctx, y.old)
}

// week lives one week. The nodes are upgraded and restored while jobs arrive.
func (y *year) week(ctx context.Context, n int) error {
	if err := y.clean(ctx, n); err != nil {
		return err
	}
	kinds := y.kinds
	if n < 2 { // the first nodes may still run
		kinds = kinds[:oldKinds]
	}
	list := makeJobs(y.pool.bed, y.rng, kinds, y.plan.jobs, y.plan.pad)
	y.all = append(y.all, list...)
	for _, j := range list {
		j.week = n
	}
	sending, stop := context.WithCancel(ctx)
	defer stop()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		y.pool.load().Submit(sending, plain(list), time.Second)
	}()
	err := y.happen(ctx, n)
	if err != nil {
		stop()
	}
	<-sent
	if err != nil {
		return err
	}
	y.pool.poll.AwaitEnds(ctx, 20*time.Second)
	if y.plan.restores(n) {
		y.submitAgain(ctx, n)
	}
	y.look(ctx, n)
	if y.plan.full(n) {
		if err := y.fillDisk(ctx, n); err != nil {
			return err
		}
	}
	return y.disk.measure()
}

// happen upgrades the nodes, makes a backup, or goes back to one.
func (y *year) happen(ctx context.Context, n int) error {
	if n == 1 {
		if err := y.firstUpgrade(ctx); err != nil {
			return err
		}
	}
	if n > 1 {
		if err := y.upgrade(ctx); err != nil {
			return err
		}
	}
	if y.plan.backups(n) {
		if err := y.makeBackup(ctx, n); err != nil {
			return err
		}
	}
	if y.plan.restores(n) {
		return y.restore(ctx)
	}
	return nil
}

// clean moves the clock by a week, after which the nodes delete the jobs whose time is
// over while new ones run.
func (y *year) clean(ctx context.Context, n int) error {
	if n == 0 {
		return nil
	}
	// A week is seconds long, and the nodes delete in small steps: wait for most of last week.
	if err := y.pool.awaitGone(ctx, y.due, y.plan.jobs/2); err != nil {
		return err
	}
	if err := y.pool.move(ctx, week); err != nil {
		return err
	}
	y.pool.bed.History.Logf("week %d", n)
	for range 10 {
		if j := y.all[y.rng.IntN(len(y.all))]; j.kind.hasParts() {
			y.pool.lookAt(ctx, y.pool.nodes[y.rng.IntN(2)], j)
		}
	}
	return nil
}

// look asks for the jobs whose time is over, and adds those whose last week is n to them. A
// restore may have moved the end of a job to a later week.
func (y *year) look(ctx context.Context, n int) {
	var left []*job
	y.pool.readAll(ctx, y.due)
	for _, j := range y.due {
		if !j.gone {
			left = append(left, j)
		}
	}
	y.due = slices.DeleteFunc(left, func(j *job) bool { return j.week+int(j.kind.keep/week) > n && n >= 0 })
	for _, j := range y.all {
		if j.kind.keep > 0 && j.week+int(j.kind.keep/week) == n {
			y.due = append(y.due, j)
		}
	}
}

// firstUpgrade replaces the old nodes, which cannot follow a newer ledger.
func (y *year) firstUpgrade(ctx context.Context) error {
	for _, n := range y.pool.nodes {
		n.Process.Terminate(20 * time.Second)
		y.pool.use(n, y.today, 0)
	}
	if _, err := y.pool.command(ctx, y.pool.nodes[0], "migrate", "--wait", "1m"); err != nil {
		return err
	}
	if err := y.pool.program("brief", `{"keep":"2w"}`, "exec cat"); err != nil {
		return err
	}
	return y.pool.supervise(ctx)
}

// upgrade replaces one node after the other by the next version.
func (y *year) upgrade(ctx context.Context) error {
	y.pool.schema++
	for i, n := range y.pool.nodes {
		if y.rng.IntN(3) == 0 {
			n.Process.Kill()
		} else {
			n.Process.Terminate(20 * time.Second)
		}
		y.pool.use(n, y.today, y.pool.schema)
		y.pool.nodes[1-i].Process.ExpectEnd(true) // it may, when it is too old
		if err := up(ctx, n); err != nil {
			return err
		}
	}
	// The operator does not want to go back any more.
	copies, err := filepath.Glob(y.pool.at.Ledger + ".schema-*")
	if err != nil {
		return err
	}
	for _, path := range copies {
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	return y.pool.supervise(ctx)
}

// end reads everything once more.
func (y *year) end(ctx context.Context) error {
	y.pool.bed.History.Note(check.Event{What: check.Calm})
	y.pool.poll.AwaitEnds(ctx, 30*time.Second)
	y.pool.poll.Close()
	if err := y.pool.restart(ctx); err != nil {
		return err
	}
	y.look(ctx, -1)
	if err := y.pool.awaitGone(ctx, y.due, 0); err != nil {
		return err
	}
	y.pool.readAll(ctx, y.all)
	var looks int
	for i := len(y.all) - 1; i >= 0 && looks < 300; i-- {
		if j := y.all[i]; j.kind.hasParts() {
			y.pool.lookAt(ctx, y.pool.nodes[i%2], j)
			looks++
		}
	}
	if wrong := testbed.Integrity(ctx, y.pool.at.Ledger); wrong != "" {
		return errors.New(wrong)
	}
	history := y.pool.bed.History
	history.MeasureLeast("jobs of the year", float64(len(y.all)), float64(y.plan.weeks*y.plan.jobs))
	history.Measure("most MiB of ledger and store", mib(y.disk.peak), y.plan.mostUsed)
	history.Measure("MiB of ledger and store in the end", mib(y.disk.last), y.plan.mostUsed)
	return ctx.Err()
}
