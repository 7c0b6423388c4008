package counters

import (
	"testing"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/sqlite/sqlitetest"
)

func TestQueriesUseTheirIndex(t *testing.T) {
	t.Parallel()
	sqlitetest.Want(t, map[*engine.Query]string{
		qOfProgram:  "SEARCH counted USING PRIMARY KEY (program=? AND grain=? AND at>? AND at<?)",
		qOfNode:     "SEARCH counted USING INDEX counted_node (node=? AND grain=? AND at>? AND at<?)",
		qOldest:     "SEARCH counted USING COVERING INDEX counted_at (grain=?)",
		qPrune:      "INDEX counted_at (grain=? AND at<?)",
		qOfAttempts: "SEARCH attempt_counters USING PRIMARY KEY (job=?)",
	})
}

// TestNoHistoryIsSorted: the newest steps come first without a look at the others.
func TestNoHistoryIsSorted(t *testing.T) {
	t.Parallel()
	plan := sqlitetest.Plans(t)
	for _, q := range []*engine.Query{qOfProgram, qOfNode} {
		if steps := plan(q); len(steps) != 1 {
			t.Errorf("%s\n%v", q.Text, steps)
		}
	}
}
