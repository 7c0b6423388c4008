package listing

import (
	"testing"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/sqlite/sqlitetest"
)

func TestQueriesUseTheirIndex(t *testing.T) {
	t.Parallel()
	sqlitetest.Want(t, map[*engine.Query]string{
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
		qNextKey:             "COVERING INDEX jobs_queue ((server,program,priority,accepted)>(?,?,?,?))",
		qIDs:                 "PRIMARY KEY (id>? AND id<?)",
		qNextPriority:        "COVERING INDEX jobs_queue (server=? AND program=? AND priority>?)",
		qAnyLabelled:         "PRIMARY KEY (label=?)",
		qNextServer:          "COVERING INDEX jobs_queue (server>?)",
	})
}
