package stream

import (
	"github.com/runnerbean/runnerbean/worker/internal/process"
	"github.com/runnerbean/runnerbean/worker/internal/program"
	"github.com/runnerbean/runnerbean/worker/internal/workdir"
)

// Run is a job and how it is to run. All fields but Folder are required.
type Run struct {
	Job
	Program *program.Program
	// Folder is a working directory of this job alone, if it has files in inputs. Else
	// the job gets folders of its process.
	Folder string
	// Start returns how to start a process in a working directory. It may change
	// Program. FileSize also bounds the working directory.
	Start func(dir string) (process.Spec, error)
	// Task has the limits of the job, and gets its log and events. Line is not used.
	Task process.Task
	// KillJob ends Task.Kill.
	KillJob func(error)
}

// Outcome is how a job ended in its process.
type Outcome struct {
	// Exit is what the job used and, if there is no answer, how its process ended.
	// Stdout is the result.
	Exit process.Exit
	// Answered says that the process answered: with the result in Exit, or with Failure.
	Answered bool
	Failure  *Failure
	// Wrong is what the process wrote instead of an answer; nil if it did not.
	Wrong error
	// Kept is a working directory with what the job left in out; nil if it left nothing
	// or has a Folder. The caller calls Abandon. Dir is its path.
	Kept *workdir.Scratch
	Dir  string
}
