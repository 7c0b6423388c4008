package retention

import (
	"context"
	"fmt"
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
	d := dropped[packages.File]{page: l.ledger.Dropped, forget: l.ledger.Forget, remove: func(ctx context.Context, f packages.File) error {
		if err := l.store.Delete(ctx, store.PackageKey(f.SHA256, f.Number)); err != nil {
			return fmt.Errorf("the file %s of a package: %w", f.SHA256, err)
		}
		return nil
	}}
	return d.run(ctx, end)
}
