package retention

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"time"
)

// dropped is rows of the ledger whose objects are to be removed from the store.
type dropped[T any] struct {
	// page returns some of the rows after one; the first comes after the zero T.
	page func(ctx context.Context, after T) ([]T, error)
	// remove removes the object of a row. One that is not there is no error.
	remove func(ctx context.Context, row T) error
	// forget deletes rows whose objects are gone.
	forget func(ctx context.Context, rows []T) error
}

// run removes objects until a time. Those that cannot be removed are left for the next round;
// the error is that of the first of them.
func (d *dropped[T]) run(ctx context.Context, end time.Time) error {
	var failed error
	for after := *new(T); time.Now().Before(end); {
		began := time.Now()
		page, err := d.page(ctx, after)
		if err != nil || len(page) == 0 {
			return errors.Join(failed, err)
		}
		after = page[len(page)-1]
		var gone []T
		for _, row := range page {
			if err := d.remove(ctx, row); err == nil || errors.Is(err, fs.ErrNotExist) {
				gone = append(gone, row)
			} else {
				failed = cmp.Or(failed, err)
			}
		}
		if len(gone) > 0 {
			if err := d.forget(ctx, gone); err != nil {
				return errors.Join(failed, err)
			}
		}
		if !step(ctx, began) {
			return errors.Join(failed, ctx.Err())
		}
	}
	return failed
}
