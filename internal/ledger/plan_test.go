package ledger

import (
	"slices"
	"strings"
	"testing"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/sqlite/sqlitetest"
)

// Every statement uses a key or an index. Only short tables are scanned.
func TestNoStatementReadsAllJobs(t *testing.T) {
	t.Parallel()
	plan := sqlitetest.Plans(t)
	short := []string{"schema_version", "activity", "nodes", "programs", "unsettled", "events", "sooner", "later", "unended", "missing", "interrupted", "drains", "backlog", "controls", "vitals", "tallies", "minutes", "steps", "sums", "due", "durations", "replays", "hooks", "base_urls", "deleted", "pragma_freelist_count", "pragma_page_size", "log_chunks", "checkpoint_requests"} // tallies are of a minute or two // events and deleted are read from one end
	for _, q := range engine.Queries {
		if verb, _, _ := strings.Cut(q.Text, " "); slices.Contains([]string{"BEGIN", "COMMIT", "ROLLBACK"}, verb) {
			continue
		}
		for _, step := range plan(q) {
			words := strings.Fields(step)
			if words[0] == "SCAN" && !slices.Contains(short, words[1]) && !strings.HasSuffix(step, "INDEX jobs_running") &&
				!strings.Contains(step, "VALUES") && !strings.Contains(step, "CONSTANT") {
				t.Errorf("%s\n%s", q.Text, step)
			}
		}
	}
}

func TestQueriesUseTheirIndex(t *testing.T) {
	t.Parallel()
	sqlitetest.Want(t, map[*engine.Query]string{
		qBefore: "COVERING INDEX jobs_queue (server=? AND program=? AND (priority,accepted,id)", qUnsent: "jobs_queue (server=? AND program=?)",
		qMoreUrgent: "COVERING INDEX jobs_due (server=? AND not_before>? AND not_before<?)",
		qNextQueue:  "COVERING INDEX jobs_queue (server=? AND program>?)", qQueue: "jobs_queue (server=? AND program=? AND (priority,accepted,id)",
		qExpired: "jobs_expires (expires>? AND expires<?)", qStopping[0]: "PRIMARY KEY (id=?)",
		qLostBy: "jobs_running (instance=?)", qNeverCame: "COVERING INDEX needs_deadline",
		qAnyMissing: "COVERING INDEX needs_deadline",
		qToRevive:   "INDEX reviving_at",
	})
}
