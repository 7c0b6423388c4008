package backlog

import (
	"testing"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/sqlite/sqlitetest"
)

func TestQueriesUseTheirIndex(t *testing.T) {
	t.Parallel()
	sqlitetest.Want(t, map[*engine.Query]string{
		qNextDue:   "COVERING INDEX jobs_age (program>?)",
		qScheduled: "COVERING INDEX jobs_age (program=? AND due>?)",
		qDue:       "COVERING INDEX jobs_age (program=? AND due<?)",
	})
}
