package postgres

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

// wanted are settings of the server that the ledger relies on.
var wanted = []struct{ name, unwanted string }{
	{"fsync", "off"}, {"full_page_writes", "off"}, {"autovacuum", "off"},
}

// Inspect says how the server of a ledger is doing that other processes may have open.
func Inspect(ctx context.Context, url string) (s engine.Server, err error) {
	config, err := parse(url)
	if err != nil {
		return s, err
	}
	db := stdlib.OpenDB(*config)
	db.SetMaxOpenConns(1)
	defer func() { err = errors.Join(err, db.Close()) }()
	if s, err = inspect(ctx, db); err != nil {
		return s, explained(err)
	}
	return s, explained(tryRoom(ctx, db))
}

// tryRoom returns an error if the disk has no room for 8 MiB, for which it writes and removes
// a temporary table. A user who may make none, or may not write, learns nothing.
func tryRoom(ctx context.Context, db *sql.DB) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	_, err = tx.ExecContext(ctx, "CREATE TEMPORARY TABLE room ON COMMIT DROP AS SELECT repeat(chr(65 + n % 26), 1000) AS text FROM generate_series(1, 8000) AS n")
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok && refused.Code != diskFull {
		return nil
	}
	return err
}

func inspect(ctx context.Context, db *sql.DB) (s engine.Server, err error) {
	var oldest, lag float64
	for _, read := range []struct {
		query string
		dest  []any
	}{
		{"SELECT current_setting('server_version')", []any{&s.Version}},
		{
			"SELECT COALESCE(SUM(n_dead_tup), 0)::bigint, COALESCE(SUM(n_live_tup), 0)::bigint, COALESCE(SUM(pg_total_relation_size(relid)), 0)::bigint FROM pg_stat_user_tables WHERE schemaname = current_schema()",
			[]any{&s.DeadRows, &s.LiveRows, &s.Size},
		},
		// Transactions of other users have a begin, but their application is hidden.
		{
			`SELECT COALESCE(EXTRACT(epoch FROM clock_timestamp() - MIN(xact_start)), 0)::float8, COALESCE((array_agg(COALESCE(NULLIF(application_name, ''), usename, '') ORDER BY xact_start))[1], '')
			FROM pg_stat_activity WHERE datname = current_database() AND xact_start IS NOT NULL AND pid <> pg_backend_pid() AND backend_type = 'client backend'`,
			[]any{&oldest, &s.OldestBy},
		},
		{
			"SELECT COUNT(*), COUNT(*) FILTER (WHERE sync_state IN ('sync', 'quorum')), COALESCE(EXTRACT(epoch FROM MAX(replay_lag)), 0)::float8 FROM pg_stat_replication",
			[]any{&s.Standbys, &s.Synchronous, &lag},
		},
		{"SELECT (SELECT SUM(numbackends) FROM pg_stat_database)::bigint, current_setting('max_connections')::bigint", []any{&s.Connections, &s.MaxConnections}},
	} {
		if err := db.QueryRowContext(ctx, read.query).Scan(read.dest...); err != nil {
			return s, err
		}
	}
	s.Oldest, s.Lag = time.Duration(oldest*float64(time.Second)), time.Duration(lag*float64(time.Second))
	for _, setting := range wanted {
		value := ""
		if err := db.QueryRowContext(ctx, "SELECT current_setting($1)", setting.name).Scan(&value); err != nil {
			return s, err
		}
		if value == setting.unwanted {
			s.Unsafe = append(s.Unsafe, setting.name+" = "+value)
		}
	}
	return s, nil
}
