package ledger

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/live"
	"github.com/runnerbean/runnerbean/jobs"
)

const (
	// QuarantineAfter is the number of attempts lost with their node after which a job
	// runs in quarantine: alone on its node. Any job that ran on such a node may have
	// ended it.
	QuarantineAfter = 2
	// QuarantineLimit is the number of attempts lost in quarantine after which the job
	// fails. By then it must be the job that ends its nodes.
	QuarantineLimit = 3
)

// Record is one job in the ledger. Times are in UTC with microseconds.
type Record struct {
	ID       string
	Program  string
	State    jobs.State
	Priority uint32
	// Document is the accepted job document.
	Document json.RawMessage
	Labels   map[string]string

	Created   time.Time // by the document; may be zero
	Accepted  time.Time // by the ledger; with ID the order of every listing
	NotBefore time.Time // earliest start: StartAfter, or the end of a backoff if that is later
	// StartAfter is the earliest start that the document sets. A backoff does not change
	// it, and a retry or reset goes back to it. It may be zero.
	StartAfter time.Time
	Expires    time.Time
	// Due is when the job could start, or when its newest attempt could: when it was
	// queued, or NotBefore if that is later. Zero if unknown.
	Due      time.Time
	Started  time.Time // of the newest attempt
	Finished time.Time // of the job; zero unless State is final
	Updated  time.Time // of the last change of state

	// Attempt is the number of the newest attempt. It is the fence: a change that names
	// another number is refused.
	Attempt int
	// Spent counts the attempts that ended in error. Crashes counts those whose node
	// died.
	Spent, Crashes int
	// AloneCrashes counts the Crashes in quarantine.
	AloneCrashes int
	// Quarantined is true if the newest attempt runs, or ran, alone on its node.
	Quarantined bool
	// FetchTries counts the consecutive attempts that did not get their inputs.
	// FetchSince is when the first of them ended, or zero.
	FetchTries int
	FetchSince time.Time
	// Interruptions counts the attempts that the shutdown of their node interrupted since
	// a person queued the job. LongestInterrupted is how long the longest of them ran.
	Interruptions      int
	LongestInterrupted time.Duration
	// Node and Instance run the job, or ran it last.
	Node, Instance string
	// Asked is what a person requested for a running job: VerbCancel, VerbTerminate,
	// VerbReset or "".
	Asked Verb
	// Reason says why a job waits that has not ended.
	Reason string
	// Error is why the job failed or was cancelled, or why its last attempt ended.
	Error *jobs.Error
	// Live is the last report of the running program.
	Live Live
}

// ManyInterruptions is the number of interruptions from which on a job may be longer than
// its node runs between two restarts: it would run again and again.
const ManyInterruptions = 3

// InterruptedText says how often restarts have interrupted a job, and what helps. It is
// empty for fewer than ManyInterruptions.
func (r *Record) InterruptedText() string {
	return interruptedText(r.Interruptions, r.LongestInterrupted)
}

func interruptedText(n int, longest time.Duration) string {
	if n < ManyInterruptions {
		return ""
	}
	return fmt.Sprintf("restarts of its nodes have interrupted it %d times, the longest run after %s: raise RUNNERBEAN_SHUTDOWN_GRACE, drain the node before a restart, or split the job",
		n, longest.Round(time.Second))
}

// RunsAlone reports whether the next attempt runs in quarantine.
func (r *Record) RunsAlone() bool { return r.Crashes >= QuarantineAfter }

const (
	// MaxBackoff is longer than any wait before another attempt, except the wait for
	// inputs.
	MaxBackoff = 10 * time.Minute
	// MaxInputWait is the longest wait before another attempt to get the inputs.
	MaxInputWait = 7 * time.Hour
)

// Wait returns how long a queued job must still wait. It is 0 if the job may start. It
// ignores backoffs that are too long, because a node with a wrong clock has set them, but
// never StartAfter.
func (r *Record) Wait(now time.Time) time.Duration {
	wait, most := max(0, r.NotBefore.Sub(now)), MaxBackoff
	if r.FetchTries > 0 {
		most = MaxInputWait
	}
	if r.Attempt > 0 && wait > most {
		return max(0, r.StartAfter.Sub(now))
	}
	return wait
}

// waits reports whether a queued job is not due yet, or has expired.
func (r *Record) waits(now time.Time) bool {
	return r.Wait(now) > 0 || !r.Expires.IsZero() && !r.Expires.After(now)
}

// Live is the last report of a running program.
type Live = live.Live

// Attempt is one run of a job.
type Attempt struct {
	Job            string
	Number         int
	Node, Instance string
	ProgramSHA256  string
	Started        time.Time
	Finished       time.Time    // zero while it runs
	Outcome        jobs.Outcome // empty while it runs
	Message        string
	ExitCode       int // -1 if there was none
	Signal         string
	CPU            time.Duration
	MaxRSS         int64 // bytes
	Quarantined    bool  // it ran alone on its node
}

// Verb is what a person may request for a job.
type Verb string

const (
	// VerbCancel ends a job. A running program gets time to end.
	VerbCancel Verb = "cancel"
	// VerbStop is VerbCancel for running jobs only.
	VerbStop Verb = "stop"
	// VerbTerminate is VerbCancel without that time.
	VerbTerminate Verb = "terminate"
	// VerbRetry queues a failed or cancelled job again under its id. It keeps the
	// history and clears the budgets.
	VerbRetry Verb = "retry"
	// VerbReset makes a job start over that has not succeeded. It kills the running
	// program at no cost, and clears budgets and backoff.
	VerbReset Verb = "reset"
	// VerbDelete deletes a job that has ended, with all that belongs to it. Its id stays
	// known as deleted. See package retention.
	VerbDelete Verb = "delete"
	// VerbCheckpoint asks a running program for a checkpoint. The job runs on.
	VerbCheckpoint Verb = "checkpoint"
	// VerbEndLoop ends the loop of a job for good, and cancels the newest job of it.
	VerbEndLoop Verb = "end-loop"
)

// Verbs are all verbs but VerbEndLoop, which is for jobs that repeat.
var Verbs = []Verb{VerbCancel, VerbStop, VerbTerminate, VerbRetry, VerbReset, VerbDelete, VerbCheckpoint}

// requests are the values of cancel_requested.
var requests = []Verb{"", VerbCancel, VerbTerminate, VerbReset}

func requestCode(v Verb) int64 {
	for i, a := range requests {
		if a == v {
			return int64(i)
		}
	}
	return 1
}

func requestedVerb(code int) Verb {
	if code < 0 || code >= len(requests) {
		return VerbCancel
	}
	return requests[code]
}

// Reasons why Act refuses a job.
var (
	// ErrNotEnded is returned for the retry of a job that has not ended.
	ErrNotEnded = errors.New("job has not ended")
	// ErrNotRunning is returned for the stop of a job that does not run.
	ErrNotRunning = errors.New("job does not run")
	// ErrNeeds is returned for the retry of a job that needs a job that has not
	// succeeded.
	ErrNeeds = errors.New("job needs another one that has failed or was cancelled")
	// ErrMissing is returned for the retry of a success whose result is said to be
	// missing, if another attempt is the newest.
	ErrMissing = errors.New("the result is not missing")
	// ErrNoLoop is returned for the end of the loop of a job that does not repeat.
	ErrNoLoop = errors.New("job does not repeat")
	// ErrDocument is returned for the retry of a job whose document has a fault.
	ErrDocument = errors.New("job document has a fault")
)

// Target is one job for Act. Job is set for the retry of a job whose document had a
// fault: it is the decoded document.
type Target struct {
	ID  string
	Job *jobs.Job
	// Awaits is set for the retry of a job whose program no node has announced. See
	// Entry.
	Awaits string
	// Updated is the expected Updated of the job. Zero accepts any.
	Updated time.Time
	// Missing is set for the retry of a success whose result the store has lost: it is
	// the number of its newest attempt, which the caller saw before it looked there.
	Missing int
	// Dependents is set for a retry that also queues the jobs that failed only because
	// they need this one. Revive does that. If the job itself runs already or has
	// succeeded, only they are retried.
	Dependents bool
}

// Acted is the result for one Target. Record is the current state of the job. Err says
// why nothing was done: ErrUnknown, ErrFinal, ErrNotEnded, ErrNotRunning, ErrNeeds,
// ErrNoLoop, ErrDocument, engine.ErrChanged, retention.ErrNeeded, ErrBatch or ErrSending. For a job
// that was deleted before, Err is an ErrUnknown and a *retention.Deleted. The Record of a
// job that has just been deleted is as it was.
type Acted struct {
	ID     string
	Record Record
	Err    error
	// Untouched says that the job itself needs no retry: only its dependents are retried.
	Untouched bool
}
