package testbed

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	_ "github.com/jackc/pgx/v5/stdlib" // driver "pgx"
	_ "modernc.org/sqlite"             // driver "sqlite"
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

// SchemaVariable tells a node built by Builds.Today how many migrations it knows
// beyond those of the present tree: with 1 it is the next version of the program, with
// 2 the one after that.
const SchemaVariable = "CHAOS_LATER_SCHEMA"

// LaterSchemas is the largest value of SchemaVariable.
const LaterSchemas = 60

// laterSchema adds migrations to the build. Each adds a table that nothing uses.
func laterSchema(root string, o overlay) error {
	sqlite := filepath.Join(root, "internal", "ledger", "sqlite")
	if _, err := os.Stat(filepath.Join(sqlite, "migrations")); err != nil {
		return fmt.Errorf("the testbed does not know where the migrations are: %w", err)
	}
	var sets, names strings.Builder
	list := "migrations/0*.sql"
	for n := range LaterSchemas + 1 {
		if n > 0 {
			name := fmt.Sprintf("migrations/9%03d_chaos.sql", n)
			o[filepath.Join(sqlite, filepath.FromSlash(name))] = fmt.Sprintf("CREATE TABLE chaos_%d (n BIGINT NOT NULL);\n", n)
			list += " " + name
		}
		fmt.Fprintf(&sets, "//go:embed %s\nvar chaos%d embed.FS\n\n", list, n)
		fmt.Fprintf(&names, "chaos%d, ", n)
	}
	o[filepath.Join(sqlite, "chaos_schema.go")] = `package sqlite

import (
	"embed"
	"os"
	"strconv"
)

` + sets.String() + `func init() {
	n, _ := strconv.Atoi(os.Getenv("` + SchemaVariable + `"))
	migrations = []embed.FS{` + names.String() + `}[n]
	present = readMigrations()
}
`
	return nil
}

// Number returns the answer of a ledger to a query for a number. ledger is a value of
// RUNNERBEAN_LEDGER.
func Number(ctx context.Context, ledger, query string) (n int, err error) {
	driver, name := "pgx", ledger
	if path, ok := strings.CutPrefix(ledger, "sqlite:"); ok {
		driver, name = "sqlite", (&url.URL{Scheme: "file", Path: path, RawQuery: "mode=ro&_pragma=busy_timeout(10000)"}).String()
	}
	db, err := sql.Open(driver, name)
	if err != nil {
		return 0, err
	}
	err = db.QueryRowContext(ctx, query).Scan(&n)
	return n, errors.Join(err, db.Close())
}

// AdditionsQuery is answered by a ledger on which a program of Builds.Next was started: how many
// nodes have a row since then or before.
const AdditionsQuery = "SELECT COUNT(chaos_next) FROM nodes"

// additiveMigration is a migration that older programs need not know. It changes tables that
// they write to all the time.
func additiveMigration(root string) overlay {
	return overlay{filepath.Join(root, "internal", "ledger", "sqlite", "migrations", "9001_next.additive.sql"): `CREATE TABLE chaos_next (n BIGINT NOT NULL);
ALTER TABLE jobs ADD COLUMN chaos_next BIGINT NOT NULL DEFAULT 0;
ALTER TABLE nodes ADD COLUMN chaos_next TEXT NOT NULL DEFAULT '';
CREATE INDEX jobs_chaos_next ON jobs (chaos_next, id);
`}
}
