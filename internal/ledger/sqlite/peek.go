package sqlite

import (
	"context"
	"database/sql"
	"errors"
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

// Peeked is what Peek reads.
type Peeked struct {
	// ID is the id of the ledger. It is empty if there is no ledger, or one from before
	// ledgers had ids.
	ID string
	// Store is the id of its store, or empty.
	Store string
	// Schema is the version of the schema. It is 0 if there is no ledger.
	Schema int
	// Instances are those of nodes that have not left.
	Instances []Instance
	// Newest are the ids of the newest successes whose results are not in the ledger, at
	// most 32.
	Newest []string
	// Missing is the need that nobody has put for the longest time, or empty; MissingFor is
	// the job that needs it, since MissingSince, in microseconds.
	Missing, MissingFor string
	MissingSince        int64
	// Reusable is the room inside the file, in bytes.
	Reusable int64
}

// Peek reads a ledger that other processes may have open. It changes nothing. It returns
// the zero value if there is no file yet or if it has no tables.
func Peek(ctx context.Context, path string) (p Peeked, err error) {
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

func peek(ctx context.Context, db *sql.DB) (p Peeked, err error) {
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
		columns := 0
		err := db.QueryRowContext(ctx, "SELECT COUNT(*) FROM pragma_table_info(?) WHERE name = ?", read.table, read.column).Scan(&columns)
		if err != nil {
			return p, err
		}
		if columns == 0 {
			continue
		}
		if err := db.QueryRowContext(ctx, read.query).Scan(read.dest); err != nil {
			return p, err
		}
	}
	if p.Schema == 0 {
		return p, nil
	}
	if err := db.QueryRowContext(ctx, engine.Reusable.Text).Scan(&p.Reusable); err != nil {
		return p, err
	}
	if p.Instances, err = readInstances(ctx, db, p.Schema); err != nil {
		return p, err
	}
	result, err := hasResult(ctx, db)
	if err != nil {
		return p, err
	}
	rows, err := db.QueryContext(ctx, `SELECT id FROM (SELECT id, state FROM jobs ORDER BY accepted DESC, id DESC LIMIT ?) AS jobs
		WHERE state = 'succeeded' AND NOT `+result+` LIMIT ?`, peekLook, peekSample)
	if err != nil {
		return p, err
	}
	err = eachRow(rows, func(r engine.Row) error {
		var id string
		err := r.Scan(&id)
		p.Newest = append(p.Newest, id)
		return err
	})
	return p, err
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
