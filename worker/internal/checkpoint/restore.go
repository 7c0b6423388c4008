package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/runnerbean/runnerbean/internal/ledger/checkpoints"
	"github.com/runnerbean/runnerbean/internal/store"
)

// Restore puts the newest good checkpoint of the job into the folder, which is empty, before
// the program starts. It skips those that are broken or missing, with an event. It reports
// whether there is one. The error is that of the node: another attempt may find all of them.
func (k *Keeper) Restore(ctx context.Context) (restored bool, err error) {
	if k == nil {
		return false, nil
	}
	list, err := k.cfg.Ledger.Kept(ctx, k.cfg.Job)
	if err != nil {
		return false, err
	}
	for i := range list {
		c := &list[i]
		err := k.restore(ctx, c)
		if err == nil {
			k.restored, k.newest = c.SHA256, c.SHA256
			k.tried(ctx, c, "")
			fmt.Fprintf(k.cfg.Log, "runnerbean: the program goes on from checkpoint %d, which attempt %d has saved\n", c.Number, c.Attempt)
			return true, nil
		}
		var b *broken
		if !errors.As(err, &b) {
			return false, fmt.Errorf("checkpoint %d: %w", c.Number, err)
		}
		k.tried(ctx, c, b.reason)
		next := "the program starts from the beginning"
		if i+1 < len(list) {
			next = "the one before is tried"
		}
		err = k.note(ctx, fmt.Sprintf("checkpoint %d of attempt %d cannot be used: %s; %s", c.Number, c.Attempt, b.reason, next))
		if err = errors.Join(err, empty(k.cfg.Dir)); err != nil {
			return false, err
		}
	}
	return false, nil
}

// tried records what became of a checkpoint, for people. The program starts all the same if that
// fails.
func (k *Keeper) tried(ctx context.Context, c *checkpoints.Checkpoint, broken string) {
	if err := k.cfg.Ledger.Tried(ctx, *c, k.cfg.Attempt, broken); err != nil {
		k.cfg.Logger.Debug("what became of a checkpoint is not recorded", "number", c.Number, "err", err)
	}
}

// restore restores one checkpoint. It unpacks nothing before the digest was checked.
func (k *Keeper) restore(ctx context.Context, c *checkpoints.Checkpoint) error {
	f, err := unnamed(k.cfg.Spool)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := get(ctx, k.cfg.Store, store.CheckpointKey(c.Job, c.Attempt, c.Number), f, c.Size, c.SHA256); err != nil {
		return err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return unpack(ctx, f, k.cfg.Dir, k.cfg.Limit)
}
