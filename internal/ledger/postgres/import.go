package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/runnerbean/runnerbean/internal/ledger/sqlite"
)

// Import is a transaction that fills the tables of a ledger while nobody else writes. Its
// commit waits for the disk.
type Import struct {
	pgx.Tx
	conn *pgx.Conn
}

// BeginImport waits for its turn and begins. The caller closes the Import.
func BeginImport(ctx context.Context, url string) (_ *Import, err error) {
	config, err := parse(url)
	if err != nil {
		return nil, err
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, explained(err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, conn.Close(context.WithoutCancel(ctx)))
		}
	}()
	tx, err := conn.Begin(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock("+lockKey+")"); err != nil {
		return nil, err
	}
	version := 0
	if err := tx.QueryRow(ctx, "SELECT version FROM schema_version").Scan(&version); err != nil {
		return nil, err
	}
	if version != sqlite.Schema() {
		return nil, sqlite.Newer(version)
	}
	return &Import{tx, conn}, nil
}

// Close ends the transaction, without its changes unless it was committed, and the connection.
func (i *Import) Close(ctx context.Context) error {
	err := i.Rollback(ctx)
	if errors.Is(err, pgx.ErrTxClosed) {
		err = nil
	}
	return errors.Join(err, i.conn.Close(ctx))
}
