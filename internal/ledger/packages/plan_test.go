package packages

import (
	"testing"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/sqlite/sqlitetest"
)

func TestQueriesUseTheirIndex(t *testing.T) {
	t.Parallel()
	sqlitetest.Want(t, map[*engine.Query]string{
		qDropped: "INDEX package_files_dropped (state=? AND (sha256,number)>(?,?))",
		qFind:    "INDEX sqlite_autoindex_package_files_1 (sha256=?)",
		qFiles:   "INDEX sqlite_autoindex_package_files_1 ((sha256,number)>(?,?))",
		qUses:    "INDEX sqlite_autoindex_package_uses_1 ((sha256,job)>(?,?))",
	})
}
