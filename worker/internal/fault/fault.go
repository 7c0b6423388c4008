// Package fault describes how an attempt ends that does not succeed.
package fault

import (
	"errors"
	"fmt"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/logtext"
	"github.com/runnerbean/runnerbean/internal/panics"
	"github.com/runnerbean/runnerbean/jobs"
)

// MaxMessage bounds the message of an error or an event, in bytes.
const MaxMessage = 1 << 10

// ErrStale ends an attempt that is not the job's newest any more.
var ErrStale = errors.New("the ledger has given the job to another attempt")

// IsStale reports whether err, an error of the ledger, means that the attempt is
// not the newest of a running job.
func IsStale(err error) bool {
	return errors.Is(err, ledger.ErrStale) || errors.Is(err, ledger.ErrUnknown)
}

// Fault is the error of an attempt that does not succeed.
type Fault struct {
	Outcome jobs.Outcome
	Message string
	Pointer string // a JSON pointer to what is wrong; may be empty
	// Node is set if the node is at fault. The job is not charged.
	Node bool
	// Program is set if the installed program changes during the attempt. The job
	// is not charged, and the node goes on with other programs.
	Program bool
	// Awaits is set if the inputs cannot be fetched yet. The job waits for them
	// and is not charged.
	Awaits *Temporary
	// Shutdown is set if the shutdown of the node interrupted the attempt.
	Shutdown bool
	// Saved is set if the program has saved a checkpoint and asked to be run again.
	Saved bool
	// Final is set if another attempt would end in the same way.
	Final bool
}

func (f *Fault) Error() string { return f.Message }

// JobError returns the fault as the error of a job, without the end of the log.
func (f *Fault) JobError() *jobs.Error {
	return &jobs.Error{
		Class: f.Outcome, Message: logtext.Clean(f.Message, MaxMessage), Pointer: logtext.Clean(f.Pointer, MaxMessage),
	}
}

// OfNode returns the fault of a node that could not do something.
func OfNode(what string, err error) *Fault {
	return &Fault{Outcome: jobs.OutcomeInterrupted, Message: fmt.Sprintf("%s: %s", what, err), Node: true}
}

// OfProgram returns the final fault of a program that would do the same again.
func OfProgram(message string) *Fault {
	return &Fault{Outcome: jobs.OutcomeError, Final: true, Message: message}
}

// Internal returns the fault of an attempt in which this node panicked. It is
// final: the next node has the same defect.
func Internal(caught *panics.Error) *Fault {
	return &Fault{Outcome: jobs.OutcomeInternal, Final: true, Message: "a defect of the node: " + caught.Error() +
		"; an event of kind panic has the stack. Please report it; run the job again once the nodes are updated"}
}

// Temporary is an error of a server, or of the way to it, that may be over later.
type Temporary struct {
	Err  error
	Host string // empty if it did not ask to wait
	// After is how long the server asks to wait; 0 if it does not.
	After time.Duration
}

func (t *Temporary) Error() string { return t.Err.Error() }
func (t *Temporary) Unwrap() error { return t.Err }
