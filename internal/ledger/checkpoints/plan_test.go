package checkpoints

import (
	"testing"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/sqlite/sqlitetest"
)

func TestQueriesUseTheirIndex(t *testing.T) {
	t.Parallel()
	sqlitetest.Want(t, map[*engine.Query]string{
		qDropped: "INDEX checkpoints_dropped (state=? AND (job,number)>(?,?))",
		qKept:    "INDEX sqlite_autoindex_checkpoints_1 (job=?)",
		qLook:    "INDEX sqlite_autoindex_checkpoints_1 ((job,number)>(?,?))",
	})
}
