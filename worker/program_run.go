package worker

import (
	"time"

	"github.com/runnerbean/runnerbean/internal/logtext"
	"github.com/runnerbean/runnerbean/worker/internal/process"
	"github.com/runnerbean/runnerbean/worker/internal/progress"
	"github.com/runnerbean/runnerbean/worker/internal/workdir"
)

// maxRendered is how much of the end of a log is rendered. It is more than maxLogTail: a
// progress line that the program overwrites again and again takes much of it.
const maxRendered = 64 << 10

// programRun is the run of a program in an attempt.
type programRun struct {
	dir    string           // the working directory; empty if a stream program left nothing in it
	folder *workdir.Scratch // the working directory of a stream program's job; may be nil
	log    process.Log
	series progress.Series
	handle process.Handle
	exit   *process.Exit // nil until the program has ended
	span   span
	// began and ended are zero until then.
	began, ended time.Time
}

// endedByItself reports whether the node did not stop the program.
func (r *programRun) endedByItself() bool {
	return r.exit != nil && !r.exit.Cancelled && !r.exit.Killed
}

// renderedLog returns the end of the log as a terminal shows it.
func (r *programRun) renderedLog() string {
	if r.log.Total() == 0 {
		return ""
	}
	return logtext.Render(string(r.log.Tail(maxRendered)))
}

// logTail returns the end of the log for an error.
func (r *programRun) logTail() string { return logtext.Last(r.renderedLog(), maxLogTail) }

// scratchEntry is in the environment of every program of a node and of no other
// process. By it a node finds the processes that it left when it was killed.
func scratchEntry(scratch string) string { return "RUNNERBEAN_SCRATCH=" + scratch }
