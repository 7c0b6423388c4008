// Package ledger is the record of jobs, attempts, nodes and events in SQL.
// beanstalkd only carries hints; what the ledger says is so. Every change of
// state is a compare-and-set inside a transaction.
package ledger

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/runnerbean/runnerbean/jobs"
)

var (
	// ErrUnknown is returned for an id that the ledger does not hold.
	ErrUnknown = errors.New("ledger: no such job")
	// ErrStale is returned to an attempt that is no longer the job's newest, or
	// whose job does not run any more.
	ErrStale = errors.New("ledger: stale attempt")
	// ErrFinal is returned where a job has already come to its end.
	ErrFinal = errors.New("ledger: job is final")
	// ErrConflict is returned for an id that is known with another document.
	ErrConflict = errors.New("ledger: id is known with another document")
)

// CrashLimit is how many attempts of a job may be lost with their node before
// the job fails.
const CrashLimit = 5

// Config opens a ledger.
type Config struct {
	// DSN is "sqlite:PATH". Required.
	DSN string
	// Lease is how long after its last heartbeat an instance counts as alive.
	// Default 20 s.
	Lease time.Duration
	// Now is the clock. Default time.Now.
	Now func() time.Time
	// Logger. Default slog.Default().
	Logger *slog.Logger
}

// Entry is one document to accept. With a Fault it is recorded as failed.
type Entry struct {
	Job      jobs.Job
	Document []byte
	Fault    *jobs.Error
}

// Accepted is what became of an Entry.
type Accepted struct {
	// New is false where the id was known already.
	New bool
	// Err is ErrConflict where it was known with another document.
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
}

// Claim is the answer to a request to run a job.
type Claim struct {
	// OK is true where the caller now owns attempt Record.Attempt.
	OK bool
	// Alive is true where the job runs under a live instance.
	Alive bool
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
}

// Filter selects jobs; zero fields select all.
type Filter struct {
	State   jobs.State
	Program string
	Node    string
	Label   string // "key=value"
	// Cursor is the Next of the page before; empty for the newest jobs.
	Cursor string
	// Limit is the size of a page. Default 50, at most 1000.
	Limit int
}

// Page is one page of jobs, newest first.
type Page struct {
	Jobs []Record
	Next string // cursor of the next page; empty on the last
}

// Recovered says what Recover did with the jobs of one dead instance.
type Recovered struct {
	ID    string
	State jobs.State // queued, failed (crash limit) or cancelled (was asked for)
}

// The methods, in the order of a job's way, are
//
//	Open(ctx, Config) (*Ledger, error); (*Ledger).Close() error
//	Accept(ctx, []Entry) ([]Accepted, error)          one transaction for all
//	MarkSent(ctx, []Sent) error
//	Claim(ctx, id, Owner, programSHA256 string) (Claim, error)
//	Report(ctx, id string, attempt int, Live) error   ErrStale; merges: nil/empty fields leave what was there
//	Finish(ctx, id string, attempt int, Ending) (released []Record, err error)
//	Cancel(ctx, id, by string) (Record, error)
//	Cancelling(ctx, instance string) ([]string, error)
//	Register(ctx, Node) error; Beat(ctx, instance string, programs []Program, slots int) error; Leave(ctx, instance string) error
//	Recover(ctx, RecoverScope) ([]Recovered, error)
//	Unsent(ctx, servers []string, limit int) ([]Record, error)
//	Expire(ctx, limit int) ([]string, error)
//	Get(ctx, id) (Record, error); List(ctx, Filter) (Page, error); Position(ctx, id) (int, error)
//	Attempts(ctx, id) ([]Attempt, error); Events(ctx, job string, limit int) ([]Event, error); Note(ctx, Event) error
//	Nodes(ctx) ([]Node, error); Programs(ctx) ([]Program, error); Counts(ctx) (map[jobs.State]int, error)
//	OnChange(func(ids []string)) (remove func())
var _ context.Context
