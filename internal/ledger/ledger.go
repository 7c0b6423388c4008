// Package ledger is the record of jobs, attempts, nodes and events in SQL.
// beanstalkd only carries hints; what the ledger says is so. Every change of
// state is a compare-and-set inside a transaction.
//
// All writing goes through one goroutine, which commits what waits together;
// an operation is answered after the commit that holds it. Several processes
// may share one SQLite file; they take turns.
package ledger

import (
	"errors"
	"log/slog"
	"time"

	"github.com/runnerbean/runnerbean/jobs"
)

var (
	// ErrUnknown is returned for an id that the ledger does not hold.
	ErrUnknown = errors.New("no such job")
	// ErrStale is returned to an attempt that is no longer the job's newest, or
	// whose job does not run any more.
	ErrStale = errors.New("stale attempt")
	// ErrFinal is returned where a job has already come to its end.
	ErrFinal = errors.New("job is final")
	// ErrConflict is returned for an id that is known with another document.
	ErrConflict = errors.New("id is known with another document")
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("ledger is closed")
)

const (
	// QuarantineAfter is how many attempts of a job may be lost with their node
	// until it runs in quarantine: with nothing beside it on its node. Any job that
	// ran there may be what ended the node.
	QuarantineAfter = 2
	// QuarantineLimit is how many attempts may be lost in quarantine before the job
	// fails. Then it is what ends nodes, and no other job.
	QuarantineLimit = 3
)

// Config opens a ledger.
type Config struct {
	// DSN is "sqlite:PATH". Required.
	DSN string
	// Lease is for how long an instance counts as alive after its heartbeat was
	// last seen to change. Default 20 s.
	Lease time.Duration
	// Now is the clock. Default time.Now.
	Now func() time.Time
	// Logger. Default slog.Default().
	Logger *slog.Logger
	// Observe is called at the end of each operation with its name, such as
	// claim or list, how long it took with its wait, and its error. Default nil:
	// nobody is told. It must return at once.
	Observe func(op string, d time.Duration, err error)
	// Webhook is a URL that is told of the end of every job that comes to its end
	// in this process. Default "": only those that documents name.
	Webhook string
	// BaseURL is what result URLs begin with that need no delivery because this
	// node serves them. Default "": nothing is delivered.
	BaseURL string
}

// Entry is one document to accept. With a Fault it is recorded as failed. With
// Awaits it waits for some minutes for a node to announce its program, unless one
// has; Awaits says so in words.
type Entry struct {
	Job      jobs.Job
	Document []byte
	Fault    *jobs.Error
	Awaits   string
	// Submitter is the name of the token that submitted the document; empty
	// where it came by the inbox or no token was asked for.
	Submitter string
}

// Accepted is what became of an Entry.
type Accepted struct {
	// New is false where the id was known already.
	New bool
	// Err is ErrConflict where it was known with another document, ErrTooBig
	// where it was not recorded for its size.
	Err error
	// Record is the job as it now stands in the ledger.
	Record Record
}

// Sent says that a message for a job was put on its run tube.
type Sent struct {
	ID      string // job
	Server  string // id of the beanstalkd server's instance, from its stats
	Message uint64 // id of the message there
}

// Owner names the instance that claims a job.
type Owner struct {
	Instance, Node string
	// Alone is true where nothing else of the node runs, or will, until the attempt
	// has ended: a job in quarantine is given to no other.
	Alone bool
}

// Claim is the answer to a request to run a job.
type Claim struct {
	// OK is true where the caller now owns attempt Record.Attempt.
	OK bool
	// Alive is true where the job runs under a live instance.
	Alive bool
	// Quarantine is true where the job may run now, but only alone.
	Quarantine bool
	// Record is the job as it now stands.
	Record Record
}

// Ending is how an attempt ended and where the job goes next.
type Ending struct {
	Outcome jobs.Outcome
	// State is jobs.Succeeded, jobs.Failed, jobs.Cancelled, or jobs.Queued to
	// run again, then not before NotBefore and for Reason.
	State     jobs.State
	NotBefore time.Time
	Reason    string
	Error     *jobs.Error
	ExitCode  int // -1 where there was none
	Signal    string
	CPU       time.Duration
	MaxRSS    int64 // bytes
	// Inputs says whether the attempt could have the inputs of its job.
	Inputs Inputs
}

// Inputs is whether an attempt could have the inputs of its job.
type Inputs int

const (
	InputsUnknown Inputs = iota // it ended before that was known
	InputsHad
	InputsAwaited // not yet: another attempt may
)

// Page is one page of jobs, newest first. A page may hold fewer jobs than asked
// for, even none, with more to come: Next alone says which page is the last.
type Page struct {
	Jobs []Record
	Next string // cursor of the next page; empty on the last
	// Back is the place in time at which this page has broken off its search,
	// where that is not plain from its jobs.
	Back time.Time
}

// Recovered says what Recover did with the jobs of one dead instance.
type Recovered struct {
	ID    string
	State jobs.State // queued, failed (QuarantineLimit) or cancelled (was asked for)
}
