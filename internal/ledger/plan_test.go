package ledger

import (
	"slices"
	"strings"
	"testing"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

// Every statement finds its rows by a key or an index; only short tables are
// read whole.
func TestNoStatementReadsAllJobs(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	short := []string{"schema_version", "nodes", "programs", "unsettled", "events", "sooner", "later", "drains", "backlog", "controls", "vitals", "tallies", "minutes", "steps", "sums", "due", "durations", "replays", "hooks"} // tallies are of a minute or two // events are read from one end
	for _, q := range engine.Queries {
		if verb, _, _ := strings.Cut(q.Text, " "); slices.Contains([]string{"BEGIN", "COMMIT", "ROLLBACK"}, verb) {
			continue
		}
		for _, step := range d.plan(q) {
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
	d := newDesk(t)
	for q, want := range map[*engine.Query]string{
		allJobs[walkIndex]: "COVERING INDEX jobs_accepted (accepted>? AND (accepted,id)<(?,?))",
		allJobs[walkRest]:  "jobs_accepted (accepted>? AND (accepted,id)<(?,?))", allJobs[walkText]: "jobs_accepted (accepted>? AND (accepted,id)<(?,?))",
		nodeJobs[walkIndex]:    "COVERING INDEX jobs_node (node=? AND state=? AND accepted>? AND (accepted,id)<(?,?))",
		nodeJobs[walkText]:     "jobs_node (node=? AND state=? AND accepted>? AND (accepted,id)<(?,?))",
		programJobs[walkIndex]: "COVERING INDEX jobs_program (program=? AND state=? AND accepted>? AND (accepted,id)<(?,?))",
		programJobs[walkText]:  "jobs_program (program=? AND state=? AND accepted>? AND (accepted,id)<(?,?))",
		stateJobs[walkIndex]:   "COVERING INDEX jobs_state (state=? AND accepted>? AND (accepted,id)<(?,?))",
		stateJobs[walkRest]:    "jobs_state (state=? AND accepted>? AND (accepted,id)<(?,?))",
		queuedJobs[walkIndex]:  "COVERING INDEX jobs_queue (server=? AND program=? AND priority=? AND accepted>? AND (accepted,id)<(?,?))",
		runningJobs[walkIndex]: "jobs_running", runningJobs[walkText]: "jobs_running",
		labelJobs[walkIndex]: "labels USING PRIMARY KEY (label=? AND accepted>? AND (accepted,job)<(?,?))",
		labelJobs[walkRest]:  "labels USING PRIMARY KEY (label=? AND accepted>? AND (accepted,job)<(?,?))",
		allEvents:            "events_at (at>? AND (at,id)<(?,?))", kindEvents: "events_kind (kind=? AND at>? AND (at,id)<(?,?))",
		nodeEvents: "events_node (node=? AND at>? AND (at,id)<(?,?))", humanEvents: "events_human (at>? AND (at,id)<(?,?))",
		qEventsAfter: "PRIMARY KEY (id>?)",
		qNextKey:     "COVERING INDEX jobs_queue ((server,program,priority,accepted)>(?,?,?,?))",
		qNextDue:     "COVERING INDEX jobs_age (program>?)",
		qScheduled:   "COVERING INDEX jobs_age (program=? AND due>?)",
		qDue:         "COVERING INDEX jobs_age (program=? AND due<?)",
		qOldestHook:  "hooks_created (kind=?)", qPruneHooks: "hooks_created (kind=? AND created<?)",
		qByNode: "activity USING PRIMARY KEY (grain=? AND axis=? AND at>? AND at<?)", qByProgram: "tallies USING PRIMARY KEY (at>? AND at<?)",
		qPruneActivity: "PRIMARY KEY (grain=? AND axis=? AND at<?)", qPruneDurations: "durations_at (at<?)",
		qDurations: "durations USING PRIMARY KEY (program=? AND at>?)",
		qIDs:       "PRIMARY KEY (id>? AND id<?)", qNextPriority: "COVERING INDEX jobs_queue (server=? AND program=? AND priority>?)",
		qAnyLabelled: "PRIMARY KEY (label=?)",
		qNextServer:  "COVERING INDEX jobs_queue (server>?)",
		qBefore:      "COVERING INDEX jobs_queue (server=? AND program=? AND (priority,accepted,id)", qUnsent: "jobs_queue (server=? AND program=?)",
		qMoreUrgent: "COVERING INDEX jobs_due (server=? AND not_before>? AND not_before<?)",
		qNextQueue:  "COVERING INDEX jobs_queue (server=? AND program>?)", qQueue: "jobs_queue (server=? AND program=? AND (priority,accepted,id)",
		qExpired: "jobs_expires (expires>? AND expires<?)", qStopping: "jobs_running (instance=?)",
		qLostBy: "jobs_running (instance=?)", qRunners: "COVERING INDEX jobs_running", qNeverCame: "COVERING INDEX needs_deadline",
		qAnyMissing: "COVERING INDEX needs_deadline", qJobEvents: "events_job (job=?)",
	} {
		if plan := strings.Join(d.plan(q), "\n"); !strings.Contains(plan, want) {
			t.Errorf("%s\n%s\nwant %s", q.Text, plan, want)
		}
	}
}

func (d *desk) plan(q *engine.Query) (steps []string) {
	d.t.Helper()
	args := slices.Repeat([]any{""}, strings.Count(q.Text, "?"))
	rows, err := d.db.Reader.DB().Query("EXPLAIN QUERY PLAN "+q.Text, args...)
	if err != nil {
		d.t.Fatalf("%s: %v", q.Text, err)
	}
	defer rows.Close()
	for rows.Next() {
		var a, b, c int
		var detail string
		d.must(rows.Scan(&a, &b, &c, &detail))
		steps = append(steps, detail)
	}
	d.must(rows.Err())
	return steps
}
