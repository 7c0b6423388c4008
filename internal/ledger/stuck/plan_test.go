package stuck

import (
	"testing"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/sqlite/sqlitetest"
)

func TestQueriesUseTheirIndex(t *testing.T) {
	t.Parallel()
	sqlitetest.Want(t, map[*engine.Query]string{
		qMissing: "INDEX needs_missing (missing_since>? AND missing_since<?)", qCountMissing: "INDEX needs_missing (missing_since>? AND missing_since<?)",
		qMissingOf: "INDEX needs_job (job=?)", qInterrupted: "INDEX jobs_interrupted", qCountInterrupted: "INDEX jobs_interrupted",
	})
}
