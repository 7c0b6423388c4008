package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

// AwaitNoNodes returns ErrNodes if a node of the ledger is alive. It waits where that is not
// known yet, and calls waiting then.
func AwaitNoNodes(ctx context.Context, path string, waiting func(string)) error {
	o := observer{lease: oldLease, seen: map[string]sighting{}}
	for said := false; ; said = true {
		p, err := Peek(ctx, path)
		if err != nil || p.Schema == MovedSchema {
			return err
		}
		alive, unknown := o.pending(p.Instances, time.Now())
		switch {
		case len(alive) > 0:
			return fmt.Errorf("%w: alive: %s; stop them first", ErrNodes, names(alive))
		case len(unknown) == 0:
			return nil
		case !said:
			waiting("waiting to see whether these are alive, which have not been stopped in good order: " + names(unknown))
		}
		select {
		case <-time.After(lookEvery):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Held is the file of a ledger to which nobody can write.
type Held struct {
	ID string
	// Moved says that MarkMoved was called before.
	Moved bool
	db    *sql.DB
	tx    *sql.Tx
}

// Hold takes the write lock of a file. The caller closes the Held.
func Hold(ctx context.Context, path string) (_ *Held, err error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no ledger %s", path)
	}
	db, err := sql.Open("sqlite", dsn(path, "busy_timeout(5000)", "synchronous(FULL)"))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	h := &Held{db: db}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.Close())
		}
	}()
	if h.tx, err = db.BeginTx(ctx, nil); err != nil {
		return nil, err
	}
	version, err := readSchema(ctx, h.tx)
	switch {
	case err != nil:
		return nil, err
	case version == MovedSchema:
		h.Moved = true
	case version > Schema():
		return nil, Newer(version)
	case version < Schema():
		return nil, fmt.Errorf("it has schema %d, and this program knows %d: run \"runnerbean migrate\" for the file first", version, Schema())
	default:
		// Tables and columns that only one side has would be lost, or found missing.
		applied, err := readApplied(ctx, h.tx, version)
		if err != nil {
			return nil, err
		}
		if applied != len(present) {
			return nil, fmt.Errorf("it has %d migrations, and this program knows %d: use the newest version of the program, and run \"runnerbean migrate\" for the file first", applied, len(present))
		}
	}
	return h, h.tx.QueryRowContext(ctx, "SELECT id FROM identity WHERE one = 1").Scan(&h.ID)
}

// Count returns the number of rows of a table.
func (h *Held) Count(ctx context.Context, table string) (n int64, err error) {
	err = h.tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+table).Scan(&n)
	return n, err
}

// Rows calls each with the rows of a table.
func (h *Held) Rows(ctx context.Context, table string, columns []string, each func([]any) error) error {
	rows, err := h.tx.QueryContext(ctx, "SELECT "+strings.Join(columns, ", ")+" FROM "+table)
	if err != nil {
		return err
	}
	return eachRow(rows, func(r engine.Row) error {
		row, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range row {
			into[i] = &row[i]
		}
		if err := r.Scan(into...); err != nil {
			return err
		}
		return each(row)
	})
}

// Pull returns a function that returns the next row of a table, or nil after the last. The
// caller calls stop.
func (h *Held) Pull(ctx context.Context, table string, columns []string) (next func() ([]any, error), stop func()) {
	errEnough := errors.New("enough")
	pull, stop := iter.Pull2(func(yield func([]any, error) bool) {
		err := h.Rows(ctx, table, columns, func(row []any) error {
			if !yield(row, nil) {
				return errEnough
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			yield(nil, err)
		}
	})
	return func() ([]any, error) {
		row, err, _ := pull()
		return row, err
	}, stop
}

// MarkMoved makes all programs refuse the file, and ends the hold.
func (h *Held) MarkMoved(ctx context.Context) error {
	if _, err := h.tx.ExecContext(ctx, "UPDATE schema_version SET version = ?", MovedSchema); err != nil {
		return err
	}
	return h.tx.Commit()
}

// Close gives the lock back.
func (h *Held) Close() error {
	var err error
	if h.tx != nil {
		if err = h.tx.Rollback(); errors.Is(err, sql.ErrTxDone) {
			err = nil
		}
	}
	return errors.Join(err, h.db.Close())
}
