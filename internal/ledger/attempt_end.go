package ledger

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/activity"
	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/internal/ledger/outbox"
	"github.com/runnerbean/runnerbean/jobs"
)

// Ending is the end of an attempt and what follows for the job.
type Ending struct {
	Outcome jobs.Outcome
	// State is jobs.Succeeded, jobs.Failed or jobs.Cancelled, or jobs.Queued to run the
	// job again. In the last case NotBefore is the earliest start and Reason says why.
	State     jobs.State
	NotBefore time.Time
	Reason    string
	Error     *jobs.Error
	ExitCode  int // -1 if there was none
	Signal    string
	CPU       time.Duration
	MaxRSS    int64 // bytes
	// Result is the result document of a success, of at most results.Max bytes. It is nil
	// if the result is in the store.
	Result []byte
	// Inputs says whether the attempt got the inputs of its job.
	Inputs Inputs
	// Shutdown says that the shutdown of the node interrupted the attempt.
	Shutdown bool
}

// Inputs says whether an attempt got the inputs of its job.
type Inputs int

const (
	InputsUnknown Inputs = iota // the attempt ended before this was known
	InputsHad
	InputsAwaited // another attempt may get them
)

var errEnding = errors.New("an attempt ends its job or queues it again")

func checkEnding(e Ending) (Ending, error) {
	if !e.State.Final() && e.State != jobs.Queued {
		return e, fmt.Errorf("state %q: %w", e.State, errEnding)
	}
	if e.State.Final() {
		e.NotBefore, e.Reason = time.Time{}, ""
	}
	e.Outcome = jobs.Outcome(engine.Clean(string(e.Outcome), engine.MaxName))
	e.Reason = engine.Clean(e.Reason, engine.MaxReason)
	e.Signal = engine.Clean(e.Signal, engine.MaxName)
	e.Error = cleanError(e.Error)
	switch {
	case e.State == jobs.Succeeded:
		e.Error = nil
	case e.Error == nil && e.State.Final():
		e.Error = &jobs.Error{Class: e.Outcome, Message: "the attempt ended as " + string(e.Outcome)}
	case e.Error != nil && e.Error.Class == "":
		e.Error.Class = e.Outcome
	}
	return e, nil
}

// running is a running job, as far as the end of its attempt needs it.
type running struct {
	node, program, webhook, target string
	requested                      int   // as in cancel_requested
	started, due, startAfter       int64 // as in the row
	crashes, alone                 int   // attempts that were lost, and in quarantine
	fetchSince, fetchTries         int64 // as in the row
	interruptions, longest         int64 // as in the row
	quarantined                    bool
	needed, live, repeats          bool
}

// end returns the end of the running attempt. Times are at least zero, because clocks
// may jump.
func (r *running) end(job string, attempt int, e *Ending, now time.Time) *end {
	run := max(0, engine.Micros(now)-r.started)
	v := &end{job: job, name: r.program, attempt: attempt, webhook: r.webhook, target: r.target, Ended: activity.Ended{
		EndedKey: activity.EndedKey{Node: r.node, Program: r.program, Class: e.Outcome, Bin: activity.NoBin},
		N:        1, Run: run, CPU: max(0, e.CPU.Microseconds()),
	}}
	if r.due > 0 {
		v.Wait = max(0, r.started-r.due)
	}
	if e.State.Final() {
		v.State = e.State
	}
	if e.State == jobs.Succeeded {
		v.Bin = activity.BinOf(engine.Microseconds(run))
	}
	return v
}

// applyRequest changes the ending to what a person asked for while the program ran. A
// success stays a success.
func (r *running) applyRequest(e *Ending) {
	switch verb := requestedVerb(r.requested); {
	case verb == "" || e.State == jobs.Succeeded:
	case verb == VerbReset:
		e.State, e.NotBefore, e.Reason = jobs.Queued, time.Time{}, "was reset and starts over"
	case e.State == jobs.Queued:
		e.State, e.NotBefore, e.Reason = jobs.Cancelled, time.Time{}, ""
		e.Error = &jobs.Error{Class: jobs.OutcomeCancelled, Message: "cancelled while it ran"}
	}
}

// noteQuarantine adds to the reason of a job that runs again in quarantine.
func (r *running) noteQuarantine(e *Ending) {
	crashes := r.crashes + int(engine.Bool(e.Outcome == jobs.OutcomeLost))
	if e.State != jobs.Queued || crashes < QuarantineAfter || requestedVerb(r.requested) == VerbReset {
		return
	}
	text := fmt.Sprintf("runs alone after %d losses with its node; waits for an idle node", crashes)
	e.Reason = engine.Clean(strings.TrimPrefix(e.Reason+"; "+text, "; "), engine.MaxReason)
}

// inputs counts the consecutive attempts that did not get their inputs. since is when
// the first of them ended, in microseconds.
func (r *running) inputs(e *Ending, now int64) (since, tries int64) {
	switch {
	case e.Inputs == InputsHad || requestedVerb(r.requested) == VerbReset:
		return 0, 0
	case e.Inputs == InputsUnknown:
		return r.fetchSince, r.fetchTries
	case r.fetchTries == 0:
		return now, 1
	}
	return r.fetchSince, r.fetchTries + 1
}

// interrupted returns the interruptions with that of this attempt, and the longest run.
func (r *running) interrupted(e *Ending, now int64) (n, longest int64) {
	switch {
	case requestedVerb(r.requested) == VerbReset:
		return 0, 0
	case !e.Shutdown:
		return r.interruptions, r.longest
	}
	return r.interruptions + 1, max(r.longest, now-r.started)
}

// noteInterruptions adds to the reason of a job that restarts interrupt again and again.
func (r *running) noteInterruptions(e *Ending, now int64) {
	n, longest := r.interrupted(e, now)
	if e.State == jobs.Queued && e.Shutdown {
		e.Reason = engine.Clean(strings.TrimSuffix(e.Reason+"; "+interruptedText(int(n), engine.Microseconds(longest)), "; "), engine.MaxReason)
	}
}

func endKind(e *Ending) string {
	switch {
	case e.State == jobs.Cancelled:
		return eventlog.KindCancelled
	case e.State == jobs.Failed:
		return eventlog.KindFailed
	case e.Outcome == jobs.OutcomeInterrupted:
		return eventlog.KindInterrupted
	case e.Outcome == jobs.OutcomeLost:
		return eventlog.KindLost
	}
	return eventlog.KindRetrying
}

// endText describes the end of an attempt and what follows. It says nothing twice.
func endText(e *Ending, attempt int) string {
	text := e.Reason
	if e.Error != nil && !strings.Contains(text, e.Error.Message) {
		text = strings.TrimSuffix(e.Error.Message+"; "+text, "; ")
	}
	if !strings.HasPrefix(text, string(e.Outcome)) {
		text = strings.TrimSuffix(string(e.Outcome)+": "+text, ": ")
	}
	s := fmt.Sprintf("attempt %d: %s", attempt, text)
	if e.State == jobs.Queued && !e.NotBefore.IsZero() {
		s += "; not before " + e.NotBefore.UTC().Format(time.RFC3339)
	}
	return s
}

// end is the end of an attempt, of a job, or of both.
type end struct {
	activity.Ended // Program is "" if the job is counted under no program
	job            string
	name           string // of the program
	attempt        int
	webhook        string
	target         string // as in the row
}

// ended counts an end and stages webhooks and the delivery if the job has ended.
func (t *txn) ended(e *end) {
	t.staged.ended = activity.Add(t.staged.ended, e.Ended, t.now)
	if e.State.Final() {
		t.staged.hooks = append(t.staged.hooks, t.outbox.Of(outbox.Ended{
			Job: e.job, Program: e.name, State: e.State, Class: e.Class, Attempt: e.attempt, At: t.now, Webhook: e.webhook, Target: e.target,
		})...)
	}
}

// endIdle ends a job that does not run, if it is still in state from. q must return its
// program, attempt, webhook and target.
func (t *txn) endIdle(q *engine.Query, id string, from, to jobs.State, e *jobs.Error) (bool, error) {
	v := &end{job: id, Ended: activity.Ended{EndedKey: activity.EndedKey{State: to, Class: e.Class, Bin: activity.NoBin}, N: 1}}
	args := []any{engine.Micros(t.now), engine.Micros(t.now), errorText(e), id, string(from)}
	done, err := t.Change(q, args, &v.name, &v.attempt, &v.webhook, &v.target)
	if err != nil || !done {
		return false, err
	}
	v.Program = v.name
	if from == jobs.Waiting {
		awaits, err := t.awaits(id, v.name)
		if err != nil {
			return false, err
		}
		if awaits {
			v.Program = ""
		}
	}
	t.count(v.Program, from, to)
	t.ended(v)
	return true, nil
}

// Spends reports whether an attempt that ended so counts against the job's attempts.
func Spends(o jobs.Outcome) bool {
	switch o {
	case jobs.OutcomeError, jobs.OutcomeTimeout, jobs.OutcomeStalled, jobs.OutcomeKilled:
		return true
	}
	return false
}
