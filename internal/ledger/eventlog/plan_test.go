package eventlog

import (
	"testing"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/sqlite/sqlitetest"
)

func TestQueriesUseTheirIndex(t *testing.T) {
	t.Parallel()
	sqlitetest.Want(t, map[*engine.Query]string{
		allEvents: "events_at (at>? AND (at,id)<(?,?))", kindEvents: "events_kind (kind=? AND at>? AND (at,id)<(?,?))",
		nodeEvents: "events_node (node=? AND at>? AND (at,id)<(?,?))", humanEvents: "events_human (at>? AND (at,id)<(?,?))",
		qAfter: "PRIMARY KEY (id>?)",

		qJobEvents: "events_job (job=?)",
	})
}
