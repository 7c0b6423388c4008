package testbed

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

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
		return fmt.Errorf("later_schema.go does not know where the migrations are: %w", err)
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
