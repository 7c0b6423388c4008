package activity

import (
	"time"

	"github.com/runnerbean/runnerbean/jobs"
)

// Tally counts ends of one kind in one step of an [History].
type Tally struct {
	Step int
	// Node ran the attempt; "" in Programs, and where a job ended without one.
	Node string
	// Program is "" in Nodes, and for documents with a fault whose program no node
	// has announced.
	Program string
	// State is the job's final state; "" for an attempt after which the job went on.
	State jobs.State
	// Class is the outcome of the attempt, or why the job ended without one.
	Class jobs.Outcome
	N     int64
	// Run, CPU and Wait are sums: how long the attempts ran, the processor time
	// that they used, and how long their jobs had been ready to start.
	Run, CPU, Wait time.Duration
}
