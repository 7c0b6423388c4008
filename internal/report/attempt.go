// Package report describes the attempts that ended on this node to the packages that
// count or trace them.
package report

import (
	"time"

	"github.com/runnerbean/runnerbean/jobs"
)

// Attempt is one attempt that ended on this node. Config.OnEnded receives it.
type Attempt struct {
	Job, Program string
	Attempt      int
	Outcome      jobs.Outcome
	// State is the state of the job now: a final state, or queued for another attempt.
	State jobs.State
	// Queued is the time from which the job was due. Start and End are the start and
	// end of the attempt.
	Queued, Start, End time.Time
	// Fetch, Run and Publish are the durations of the consecutive steps. A step that
	// did not happen has 0.
	Fetch, Run, Publish time.Duration
	// CPU is user and system time together. MaxRSS is the peak memory in bytes.
	CPU    time.Duration
	MaxRSS int64
	// Traceparent is that of the job document. SpanID is the id of the run span, 16
	// hexadecimal digits, which the program received in its environment. SpanID is
	// empty if Traceparent is missing or invalid, or if no program ran.
	Traceparent, SpanID string
}
