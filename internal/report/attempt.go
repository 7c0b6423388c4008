// Package report describes the attempts that ended on this node to those that
// count or trace them.
package report

import (
	"time"

	"github.com/runnerbean/runnerbean/jobs"
)

// Attempt is one attempt that has come to its end on this node, as
// Config.OnEnded is told of it.
type Attempt struct {
	Job, Program string
	Attempt      int
	Outcome      jobs.Outcome
	// State is what the job is in now: a final state, or queued for another
	// attempt.
	State jobs.State
	// Queued is since when the job could have been run, Start and End are those of
	// the attempt.
	Queued, Start, End time.Time
	// Fetch, Run and Publish are how long the steps took, one after the other;
	// 0 for one that was not come to.
	Fetch, Run, Publish time.Duration
	// CPU is user and system time together, MaxRSS the most memory in bytes.
	CPU    time.Duration
	MaxRSS int64
	// Traceparent is the document's; SpanID, 16 hexadecimal digits, is that of
	// the run, which the program was told of. It is empty where there is no good
	// Traceparent or no program was run.
	Traceparent, SpanID string
}
