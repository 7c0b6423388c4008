// Package move moves a ledger from an SQLite file to PostgreSQL.
package move

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/runnerbean/runnerbean/internal/ledger/postgres"
	"github.com/runnerbean/runnerbean/internal/ledger/sqlite"
)

// ErrTarget is returned if the database already has another ledger, or the same one with
// another content.
var ErrTarget = errors.New("the database cannot take the ledger")

// Report is what Move has done.
type Report struct {
	ID     string `json:"id"`     // of the ledger
	Tables int    `json:"tables"` // that were compared
	Rows   int64  `json:"rows"`
	Jobs   int64  `json:"jobs"`
	// Already says that the database had the whole ledger before.
	Already bool `json:"already"`
}

// Observer is told of the course of Move. All fields are required.
type Observer struct {
	Waiting func(text string) // for nodes
	Begin   func(rows int)    // that are to be copied or compared
	Copied  func(rows int)    // so far
}

// Move copies the ledger in a file to the database at url, in one transaction, compares the
// number of rows and the digest of each table on both sides, and then marks the file as moved,
// so that no node opens it. No node may be alive: Move returns sqlite.ErrNodes. It waits for
// heartbeats of nodes that have not left. Where it is killed, the database has all or nothing,
// and Move can be called again.
func Move(ctx context.Context, path, url string, o Observer) (r Report, err error) {
	if err := sqlite.AwaitNoNodes(ctx, path, o.Waiting); err != nil {
		return r, err
	}
	source, err := sqlite.Hold(ctx, path)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	r.ID = source.ID
	if source.Moved {
		r.Already = true
		return r, checkMoved(ctx, url, r.ID)
	}
	target, err := connect(ctx, url)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, target.Close(context.WithoutCancel(ctx))) }()
	m := mover{source: source, tx: target.Tx, observer: o, report: &r}
	if err := m.run(ctx); err != nil {
		return r, err
	}
	if err := target.Commit(ctx); err != nil {
		return r, err
	}
	return r, source.MarkMoved(ctx)
}

// checkMoved returns ErrTarget unless the database has the ledger with an id.
func checkMoved(ctx context.Context, url, id string) error {
	there, err := postgres.Peek(ctx, url)
	if err == nil && there.ID != id {
		err = fmt.Errorf("%w: the ledger %s was moved to another database before; name that one", ErrTarget, id)
	}
	return err
}

// connect makes the tables, and begins a transaction that keeps other writers out.
func connect(ctx context.Context, url string) (*postgres.Import, error) {
	db, err := postgres.Open(ctx, url)
	if err != nil {
		return nil, err
	}
	if err := db.Close(); err != nil {
		return nil, err
	}
	return postgres.BeginImport(ctx, url)
}

// mover copies or compares all tables.
type mover struct {
	source   *sqlite.Held
	tx       pgx.Tx
	observer Observer
	done     int // rows
	report   *Report
}

func (m *mover) run(ctx context.Context) error {
	tables, err := tablesOf(ctx, m.tx)
	if err != nil {
		return err
	}
	m.report.Tables = len(tables)
	for _, t := range tables {
		n, err := m.source.Count(ctx, t.name)
		if err != nil {
			return err
		}
		m.report.Rows += n
		if t.name == "jobs" {
			m.report.Jobs = n
		}
	}
	if m.report.Already, err = m.inUse(ctx); err != nil {
		return err
	}
	m.observer.Begin(int(m.report.Rows))
	for _, t := range tables {
		if err := m.table(ctx, t); err != nil {
			return fmt.Errorf("table %s: %w", t.name, err)
		}
	}
	return nil
}

// inUse reports whether the database has rows of the same ledger. It returns ErrTarget for
// those of another.
func (m *mover) inUse(ctx context.Context) (bool, error) {
	var used bool
	var id string
	err := m.tx.QueryRow(ctx, "SELECT id, EXISTS (SELECT 1 FROM jobs) OR EXISTS (SELECT 1 FROM nodes) OR EXISTS (SELECT 1 FROM deleted) FROM identity WHERE one = 1").Scan(&id, &used)
	switch {
	case err != nil:
		return false, err
	case used && id != m.source.ID:
		return false, fmt.Errorf("%w: it has the ledger %s, and the file has %s: name an empty database, or another search_path in the URL", ErrTarget, id, m.source.ID)
	}
	return id == m.source.ID, nil
}

// table copies a table unless it is there, and compares both sides.
func (m *mover) table(ctx context.Context, t table) error {
	var before sum
	if m.report.Already {
		err := m.source.Rows(ctx, t.name, t.columns, func(row []any) error {
			if err := t.convert(row); err != nil {
				return err
			}
			before.add(row)
			m.step()
			return nil
		})
		if err != nil {
			return err
		}
	} else if err := m.copy(ctx, t, &before); err != nil {
		return err
	}
	after, err := m.sumOf(ctx, t)
	if err == nil && after != before {
		err = fmt.Errorf("%w: %d rows there, %d in the file, and their digests differ: one of them has been used since the ledger was moved", ErrTarget, after.rows, before.rows)
	}
	return err
}

// copy replaces the rows of a table, which are those of an unused ledger.
func (m *mover) copy(ctx context.Context, t table, sent *sum) error {
	if _, err := m.tx.Exec(ctx, "DELETE FROM "+t.name); err != nil {
		return err
	}
	rows, stop := m.source.Pull(ctx, t.name, t.columns)
	defer stop()
	_, err := m.tx.CopyFrom(ctx, pgx.Identifier{t.name}, t.columns, pgx.CopyFromFunc(func() ([]any, error) {
		row, err := rows()
		if row == nil || err != nil {
			return nil, err
		}
		if err := t.convert(row); err != nil {
			return nil, err
		}
		sent.add(row)
		m.step()
		return row, nil
	}))
	return err
}

func (m *mover) step() {
	if m.done++; m.done%1000 == 0 {
		m.observer.Copied(m.done)
	}
}

// sumOf reads a table back.
func (m *mover) sumOf(ctx context.Context, t table) (s sum, err error) {
	rows, err := m.tx.Query(ctx, "SELECT "+t.list()+" FROM "+t.name)
	if err != nil {
		return s, err
	}
	defer rows.Close()
	for rows.Next() {
		row, err := rows.Values()
		if err != nil {
			return s, err
		}
		s.add(slices.Clone(row))
	}
	return s, rows.Err()
}
