package activity

import (
	"testing"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/sqlite/sqlitetest"
)

func TestQueriesUseTheirIndex(t *testing.T) {
	t.Parallel()
	sqlitetest.Want(t, map[*engine.Query]string{
		qByNode:         "activity USING PRIMARY KEY (grain=? AND axis=? AND at>? AND at<?)",
		qByProgram:      "tallies USING PRIMARY KEY (at>? AND at<?)",
		qPruneActivity:  "PRIMARY KEY (grain=? AND axis=? AND at<?)",
		qPruneDurations: "durations_at (at<?)",
		qDurations:      "durations USING PRIMARY KEY (program=? AND at>?)",
	})
}
