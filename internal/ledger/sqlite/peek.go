package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

const (
	// peekSample is how many of the newest successes Peek returns.
	peekSample = 32
	// peekLook is how many of the newest jobs are looked at for them.
	peekLook = 20_000
)

// Peek reads a ledger that other processes may have open. It changes nothing. It returns
// the zero value if there is no file yet or if it has no tables.
func Peek(ctx context.Context, path string) (p engine.Peeked, err error) {
	db, err := openReadOnly(path)
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err != nil {
		return p, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	err = retryBusy(ctx, func() (err error) {
		p, err = peek(ctx, db)
		return err
	})
	return p, err
}

func peek(ctx context.Context, db *sql.DB) (p engine.Peeked, err error) {
	p, err = ReadPeeked(ctx, db, func(table, column string) (known bool, err error) {
		err = db.QueryRowContext(ctx, "SELECT COUNT(*) > 0 FROM pragma_table_info(?) WHERE name = ?", table, column).Scan(&known)
		return known, err
	})
	if err == nil && p.Schema > 0 {
		err = db.QueryRowContext(ctx, engine.Reusable.Text).Scan(&p.Reusable)
	}
	return p, err
}

// ReadPeeked reads all but Reusable of a ledger of any version of the schema. has says
// whether a table has a column.
func ReadPeeked(ctx context.Context, db *sql.DB, has func(table, column string) (bool, error)) (p engine.Peeked, err error) {
	for _, read := range []struct {
		table, column, query string
		dest                 any
	}{
		{"schema_version", "version", "SELECT COALESCE(MAX(version), 0) FROM schema_version", &p.Schema},
		{"identity", "id", "SELECT COALESCE(MAX(id), '') FROM identity WHERE one = 1", &p.ID},
		{"identity", "store", "SELECT COALESCE(MAX(store), '') FROM identity WHERE one = 1", &p.Store},
		{"needs", "missing_since", "SELECT COALESCE(MIN(missing_since), 0) FROM needs WHERE missing_since > 0", &p.MissingSince},
		{"needs", "missing_since", "SELECT COALESCE((SELECT need FROM needs WHERE missing_since > 0 ORDER BY missing_since LIMIT 1), '')", &p.Missing},
		{"needs", "missing_since", "SELECT COALESCE((SELECT job FROM needs WHERE missing_since > 0 ORDER BY missing_since LIMIT 1), '')", &p.MissingFor},
	} {
		known, err := has(read.table, read.column)
		if err != nil {
			return p, err
		}
		if !known {
			continue
		}
		if err := db.QueryRowContext(ctx, read.query).Scan(read.dest); err != nil {
			return p, err
		}
	}
	if p.Schema == 0 {
		return p, nil
	}
	if p.Instances, err = readInstances(ctx, db, p.Schema); err != nil {
		return p, err
	}
	p.Newest, err = newest(ctx, db, has)
	return p, err
}

// newest returns the ids of the newest successes whose results are not in the ledger.
func newest(ctx context.Context, db *sql.DB, has func(table, column string) (bool, error)) (ids []string, err error) {
	known, err := has("results", "job")
	if err != nil {
		return nil, err
	}
	query := fmt.Sprintf(`SELECT id FROM (SELECT id, state FROM jobs ORDER BY accepted DESC, id DESC LIMIT %d) AS jobs WHERE state = 'succeeded'`, peekLook)
	if known {
		query += " AND NOT " + ownResult
	}
	rows, err := db.QueryContext(ctx, fmt.Sprintf("%s LIMIT %d", query, peekSample))
	if err != nil {
		return nil, err
	}
	err = eachRow(rows, func(r engine.Row) error {
		var id string
		err := r.Scan(&id)
		ids = append(ids, id)
		return err
	})
	return ids, err
}

// openReadOnly opens a file that other processes may have open. The error is an
// fs.ErrNotExist if there is none.
func openReadOnly(path string) (*sql.DB, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	// It must not create files that the user of the node cannot write. Without a log nobody
	// has the file open, and only then may SQLite treat it as immutable.
	name := dsn(path, "busy_timeout(5000)") + "&mode=ro"
	if _, err := os.Stat(path + "-wal"); errors.Is(err, fs.ErrNotExist) {
		name += "&immutable=1"
	}
	return sql.Open("sqlite", name)
}
