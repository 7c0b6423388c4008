package ledger

import (
	"encoding/json"
	"time"

	"github.com/runnerbean/runnerbean/jobs"
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

// Record is one job as the ledger knows it. Times are in UTC with microseconds.
type Record struct {
	ID       string
	Program  string
	State    jobs.State
	Priority uint32
	// Document is the job document as it was accepted.
	Document json.RawMessage
	Labels   map[string]string

	Created   time.Time // by the document; zero if it did not say
	Accepted  time.Time // by the ledger; with ID the order of every listing
	NotBefore time.Time // earliest start: the document's, or the end of a backoff
	Expires   time.Time
	// Due is since when it can start, or when its newest attempt could: when it
	// was queued, or NotBefore where that is later. Zero where that is not known.
	Due      time.Time
	Started  time.Time // of the newest attempt
	Finished time.Time // of the job; zero unless State is final
	Updated  time.Time // of the last change of state

	// Attempt is the number of the newest attempt; it is the fence: a change
	// that names another number is refused.
	Attempt int
	// Spent counts the attempts that ended in error, Crashes those whose node died.
	Spent, Crashes int
	// AloneCrashes counts those among Crashes that ran in quarantine.
	AloneCrashes int
	// Quarantined is whether the newest attempt runs, or ran, with nothing beside
	// it on its node.
	Quarantined bool
	// FetchTries counts the attempts in a row whose inputs could not be had yet,
	// and FetchSince is when the first of them ended; zero where there is none.
	FetchTries int
	FetchSince time.Time
	// Node and Instance hold, or held last, the job.
	Node, Instance string
	// Asked is what a person asks of a running job: VerbCancel, VerbTerminate,
	// VerbReset or nothing.
	Asked Verb
	// Reason says in words why a job that is not final waits.
	Reason string
	// Error is why a job failed or was cancelled, or why its last attempt ended.
	Error *jobs.Error
	// Live is what a running program reported last.
	Live Live
}

// RunsAlone reports whether the job's next attempt is to run in quarantine.
func (r *Record) RunsAlone() bool { return r.Crashes >= QuarantineAfter }

const (
	// MaxBackoff is longer than any wait before another attempt, but for a job
	// whose inputs cannot be had yet.
	MaxBackoff = 10 * time.Minute
	// MaxInputWait is the longest wait before another attempt to have the inputs.
	MaxInputWait = 7 * time.Hour
)

// Wait is how long a queued job has yet to wait at a time; 0 if it may start. A
// backoff that is longer than any was set by a node whose clock is hours off, and
// does not count.
func (r *Record) Wait(now time.Time) time.Duration {
	wait, most := max(0, r.NotBefore.Sub(now)), MaxBackoff
	if r.FetchTries > 0 {
		most = MaxInputWait
	}
	if r.Attempt > 0 && wait > most {
		return 0
	}
	return wait
}

// Live is what a running program last said about itself.
type Live struct {
	Progress *float64
	Message  string
	Counters map[string]float64
	Partial  json.RawMessage
	Updated  time.Time
}

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
	ExitCode       int // -1 where there was none
	Signal         string
	CPU            time.Duration
	MaxRSS         int64 // bytes
	Quarantined    bool  // nothing ran beside it on its node
}

// Verb is what a person may ask of jobs.
type Verb string

const (
	// VerbCancel ends a job. A running program gets time to end by itself.
	VerbCancel Verb = "cancel"
	// VerbStop is VerbCancel for running jobs only.
	VerbStop Verb = "stop"
	// VerbTerminate is VerbCancel without any time for a running program.
	VerbTerminate Verb = "terminate"
	// VerbRetry queues a failed or cancelled job again under its id, with its
	// history kept and its budgets as new.
	VerbRetry Verb = "retry"
	// VerbReset makes a job that has not succeeded start over: what runs of it
	// is killed and costs nothing, budgets and backoff are cleared.
	VerbReset Verb = "reset"
)

// Verbs are all of them.
var Verbs = []Verb{VerbCancel, VerbStop, VerbTerminate, VerbRetry, VerbReset}

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
