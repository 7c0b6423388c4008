package chunks

import (
	"testing"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/sqlite/sqlitetest"
)

func TestQueriesUseTheirIndex(t *testing.T) {
	t.Parallel()
	sqlitetest.Want(t, map[*engine.Query]string{
		qList:   "SEARCH chunks USING PRIMARY KEY (job=?)",
		qForget: "SEARCH chunks USING PRIMARY KEY (job=? AND attempt=?)",
	})
}
