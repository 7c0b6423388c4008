package queues

import (
	"testing"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/sqlite/sqlitetest"
)

func TestQueriesUseTheirIndex(t *testing.T) {
	t.Parallel()
	sqlitetest.Want(t, map[*engine.Query]string{
		qHead:    "COVERING INDEX jobs_queue (server=? AND program>?)",
		qOldest:  "COVERING INDEX jobs_age (program=?)",
		qNextDue: "COVERING INDEX jobs_due (server=? AND not_before>?)",
		qEqual:   "COVERING INDEX jobs_queue (server=? AND program=? AND priority=?)",
	})
}
