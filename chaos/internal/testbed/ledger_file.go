package testbed

import (
	"context"
	"database/sql"
	"net/url"

	_ "modernc.org/sqlite" // driver "sqlite"
)

// Integrity returns what SQLite finds wrong with a ledger that is in use, or
// "".
func Integrity(ctx context.Context, path string) string {
	query := url.Values{"mode": {"ro"}, "_pragma": {"busy_timeout(10000)"}}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: path, RawQuery: query.Encode()}).String())
	if err != nil {
		return err.Error()
	}
	defer db.Close()
	var verdict string
	if err := db.QueryRowContext(ctx, "PRAGMA integrity_check").Scan(&verdict); err != nil {
		return err.Error()
	}
	if verdict != "ok" {
		return verdict
	}
	return ""
}
