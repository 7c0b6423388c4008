package retention

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/packages"
	"github.com/runnerbean/runnerbean/internal/store"
)

// leftFiles removes the files of packages that no job uses any more.
type leftFiles struct {
	ledger *packages.Packages
	store  *store.Store
	walk   packages.Walk
}

// remove looks at some files and uses, and removes the objects of files that were dropped until
// a time. Those that cannot be removed are left for the next round.
func (l *leftFiles) remove(ctx context.Context, end time.Time) error {
	if err := l.ledger.Look(ctx, &l.walk); err != nil {
		return err
	}
	var failed error
	for after := (packages.File{}); time.Now().Before(end); {
		began := time.Now()
		page, err := l.ledger.Dropped(ctx, after)
		if err != nil || len(page) == 0 {
			return errors.Join(failed, err)
		}
		after = page[len(page)-1]
		var removed []packages.File
		for _, f := range page {
			err := l.store.Delete(ctx, store.PackageKey(f.SHA256, f.Number))
			if err == nil || errors.Is(err, fs.ErrNotExist) {
				removed = append(removed, f)
				continue
			}
			failed = cmp.Or(failed, fmt.Errorf("the file %s of a package: %w", f.SHA256, err)) // the first one is enough
		}
		if len(removed) > 0 {
			if err := l.ledger.Forget(ctx, removed); err != nil {
				return err
			}
		}
		if !step(ctx, began) {
			return ctx.Err()
		}
	}
	return failed
}
