package postgres

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
)

// vacuum makes PostgreSQL remove dead rows early. By default it waits until a fifth of a table
// is dead, which are 200,000 rows of a million jobs, and a queue reads them again and again.
const vacuum = "autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0"

// hot are tables of few rows that change all the time. Half of each page stays free, so that a
// new version of a row stands beside the old one and no index changes (HOT).
var hot = []string{"activity", "backlog", "controls", "counted", "live", "nodes", "tallies", "upgrade", "vitals", "writers"}

// large are tables of documents. lz4, where the server has it, takes a fifth of the time of
// the default.
var large = []string{"documents", "results"}

// tune sets how PostgreSQL stores the tables.
func tune(ctx context.Context, tx *sql.Tx) error {
	statements := []string{
		"ALTER TABLE jobs SET (" + vacuum + ")",
		"ALTER TABLE needs SET (" + vacuum + ")",
		"ALTER TABLE hooks SET (" + vacuum + ")",
	}
	for _, table := range hot {
		statements = append(statements, fmt.Sprintf("ALTER TABLE %s SET (fillfactor = 50, %s)", table, strings.Replace(vacuum, "threshold = 2000", "threshold = 500", 1)))
	}
	var lz4 bool
	if err := tx.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM pg_settings WHERE name = 'default_toast_compression' AND 'lz4' = ANY(enumvals))").Scan(&lz4); err != nil {
		return err
	}
	for _, table := range large {
		if lz4 {
			statements = append(statements, "ALTER TABLE "+table+" ALTER COLUMN document SET COMPRESSION lz4")
		}
	}
	for _, statement := range statements {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}
