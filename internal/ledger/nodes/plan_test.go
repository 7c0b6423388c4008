package nodes

import (
	"testing"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/sqlite/sqlitetest"
)

func TestQueriesUseTheirIndex(t *testing.T) {
	t.Parallel()
	sqlitetest.Want(t, map[*engine.Query]string{qRunners: "COVERING INDEX jobs_running"})
}
