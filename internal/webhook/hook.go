package webhook

import (
	"time"

	"github.com/runnerbean/runnerbean/jobs"
)

// Hook is the end of a job that a URL is to be told of.
type Hook struct {
	ID, Job, Program string
	State            jobs.State
	Class            jobs.Outcome
	URL              string
	Created          time.Time // when the job ended
	Tries            int       // that have failed
}
