package firstyear

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/runnerbean/runnerbean/chaos/check"
	"github.com/runnerbean/runnerbean/chaos/internal/testbed"
)

// makeBackup makes a backup while the nodes work, on another disk.
func (y *year) makeBackup(ctx context.Context, n int) error {
	folder, err := y.pool.bed.Folder("backups")
	if err != nil {
		return err
	}
	b := &backup{name: fmt.Sprintf("week-%d", n), ended: y.pool.poll.Ended(), gone: map[*job]bool{}}
	b.path = filepath.Join(folder, b.name+".backup")
	for _, j := range y.all {
		if j.gone {
			b.gone[j] = true
		}
	}
	node := y.pool.nodes[y.rng.IntN(2)]
	if y.kill(ctx, node, "backup", b.path) {
		if err := os.Remove(b.path); err != nil {
			return err
		}
	}
	asked := time.Now()
	if _, err := y.pool.command(ctx, node, "backup", b.path); err != nil {
		return err
	}
	y.pool.bed.History.Note(check.Event{T: asked.UnixNano(), Took: int64(time.Since(asked)), What: check.Backup, Who: b.name})
	if y.backup != nil {
		if err := os.Remove(y.backup.path); err != nil {
			return err
		}
	}
	y.backup = b
	return nil
}

// kill kills a command while it works. It reports whether the command was faster.
func (y *year) kill(ctx context.Context, n *testbed.Node, args ...string) (ended bool) {
	short, cancel := context.WithTimeout(ctx, time.Duration(20+y.rng.IntN(200))*time.Millisecond)
	defer cancel()
	_, code := n.Command(short, args...)
	return code == 0
}

// restore loses the disk and goes back to the newest backup.
func (y *year) restore(ctx context.Context) error {
	if y.backup == nil {
		return errors.New("the plan restores a backup before there is one")
	}
	y.pool.nodes[0].Process.Kill()
	y.pool.nodes[1].Process.Terminate(20 * time.Second)
	if err := y.loseData(); err != nil {
		return err
	}
	if !y.kill(ctx, y.pool.nodes[0], "restore", y.backup.path) {
		if _, err := y.pool.command(ctx, y.pool.nodes[0], "restore", y.backup.path); err != nil {
			return err
		}
	}
	y.pool.bed.History.Note(check.Event{What: check.Restore, Who: y.backup.name})
	if err := y.pool.supervise(ctx); err != nil {
		return err
	}
	var have []*job
	for _, j := range y.all {
		j.gone = y.backup.gone[j]
		if y.backup.ended[j.doc] && !j.gone {
			have = append(have, j)
		}
	}
	y.pool.readAll(ctx, have)
	return ctx.Err()
}

// loseData deletes the ledger and the store.
func (y *year) loseData() error {
	files, err := filepath.Glob(y.pool.at.Ledger + "*")
	if err != nil {
		return err
	}
	for _, file := range append(files, y.pool.at.Store) {
		if err := os.RemoveAll(file); err != nil {
			return err
		}
	}
	return nil
}

// submitAgain submits the jobs again that had not ended when the backup was begun, as a
// web server would. Those that the backup has are known. The others end in this week n.
func (y *year) submitAgain(ctx context.Context, n int) {
	var list []*testbed.Job
	for _, j := range y.all {
		if !y.backup.ended[j.doc] {
			j.week = n
			list = append(list, j.doc)
		}
	}
	y.pool.poll.Reopen(list)
	y.pool.load().Submit(ctx, list, 0)
	y.pool.poll.AwaitEnds(ctx, 20*time.Second)
}
