package activity

import (
	"time"

	"github.com/runnerbean/runnerbean/jobs"
)

// Tally counts ends of one kind in one step of a [History].
type Tally struct {
	Step int
	// Node ran the attempt. It is "" in Programs, and if a job ended without an attempt.
	Node string
	// Program is "" in Nodes, and for documents with a fault whose program no node has
	// announced.
	Program string
	// State is the final state of the job, or "" if the job continued.
	State jobs.State
	// Class is the outcome of the attempt, or why the job ended without one.
	Class jobs.Outcome
	N     int64
	// Run, CPU and Wait are sums: the run times, the processor times, and how long the
	// jobs had been due at the start.
	Run, CPU, Wait time.Duration
}
