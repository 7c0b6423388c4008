package operations

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/checkpoints"
	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/retention"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

const (
	// maxRefusals is how many jobs an answer names that a verb did not suit.
	maxRefusals = 20
	notDone     = "the node could not do it"
)

// Verb is what can be done to jobs.
type Verb struct {
	Name ledger.Verb
	Done string // as in "can be cancelled"
	// States are those in which it applies, in the order in which a selection goes
	// through them: it meets a job again whose state changes meanwhile.
	States []jobs.State
	// Missing restricts it to the jobs whose result is missing from the store.
	Missing bool
}

// RetryMissing runs successes again whose results are missing.
var RetryMissing = Verb{Name: ledger.VerbRetry, Done: "retried for its result", States: []jobs.State{jobs.Succeeded}, Missing: true}

// EndLoop ends the loop of a job. It is for one job, in whatever state that is.
var EndLoop = Verb{Name: ledger.VerbEndLoop, Done: "ended as a loop", States: jobs.States}

// Verbs are the verbs for one job and for many.
var Verbs = []Verb{
	{Name: ledger.VerbCancel, Done: "cancelled", States: []jobs.State{jobs.Waiting, jobs.Queued, jobs.Running}},
	{Name: ledger.VerbStop, Done: "stopped", States: []jobs.State{jobs.Running}},
	{Name: ledger.VerbTerminate, Done: "terminated", States: []jobs.State{jobs.Waiting, jobs.Queued, jobs.Running}},
	{Name: ledger.VerbRetry, Done: "retried", States: []jobs.State{jobs.Failed, jobs.Cancelled}},
	{Name: ledger.VerbReset, Done: "reset", States: []jobs.State{jobs.Waiting, jobs.Queued, jobs.Running, jobs.Failed, jobs.Cancelled}},
	{Name: ledger.VerbDelete, Done: "deleted", States: []jobs.State{jobs.Succeeded, jobs.Failed, jobs.Cancelled}},
	{Name: ledger.VerbCheckpoint, Done: "asked for a checkpoint", States: []jobs.State{jobs.Running}},
}

// Apply applies a verb to one job and returns the job as it is then. by names who
// asks. A refusal is a problem with the status 409, or ErrUnknown or ErrChanged.
func (o *Operations) Apply(ctx context.Context, v Verb, target ledger.Target, by string) (ledger.Record, error) {
	if v.Missing {
		rec, err := o.cfg.Ledger.Get(ctx, target.ID)
		if err != nil {
			return rec, err
		}
		if missing, err := o.missing(ctx, rec); err != nil || !missing {
			return rec, cmp.Or(err, v.refusal(ledger.Acted{ID: rec.ID, Record: rec, Err: ledger.ErrMissing}))
		}
		target.Missing = rec.Attempt
	}
	acted, err := o.act(ctx, v, []ledger.Target{target}, by)
	if err != nil {
		return ledger.Record{}, err
	}
	return acted[0].Record, v.refusal(acted[0])
}

// missing reports whether the store has lost the result of a job that has succeeded.
func (o *Operations) missing(ctx context.Context, rec ledger.Record) (bool, error) {
	if rec.State != jobs.Succeeded {
		return false, nil
	}
	return o.cfg.ResultMissing(ctx, rec.ID)
}

func (o *Operations) act(ctx context.Context, v Verb, targets []ledger.Target, by string) ([]ledger.Acted, error) {
	if o.cfg.Act == nil {
		return nil, forbidden(fmt.Sprintf("no job can be %s at this node", v.Done))
	}
	acted, err := o.cfg.Act(ctx, v.Name, by, targets)
	if err == nil && len(acted) != len(targets) {
		err = fmt.Errorf("publisher: %d of %d jobs are answered for", len(acted), len(targets))
	}
	return acted, err
}

// Suits reports whether a verb applies to a job in a state.
func (v Verb) Suits(state jobs.State) bool { return slices.Contains(v.States, state) }

// unsuited returns the error with which the ledger would refuse the verb for a job in
// a state, or nil.
func (v Verb) unsuited(state jobs.State) error {
	switch {
	case v.Suits(state):
		return nil
	case v.Missing:
		return ledger.ErrMissing
	case (v.Name == ledger.VerbRetry || v.Name == ledger.VerbDelete) && !state.Final():
		return ledger.ErrNotEnded
	case state.Final():
		return ledger.ErrFinal
	}
	return ledger.ErrNotRunning
}

// OneOf joins states for a sentence: "waiting, queued or running".
func OneOf(states []jobs.State) string {
	words := make([]string, len(states))
	for i, state := range states {
		words[i] = string(state)
	}
	if last := len(words) - 1; last > 0 {
		return strings.Join(words[:last], ", ") + " or " + words[last]
	}
	return words[0]
}

// refusal returns why a verb was not applied to a job; nil if it was.
func (v Verb) refusal(a ledger.Acted) error {
	if a.Err == nil || errors.Is(a.Err, ledger.ErrUnknown) || errors.Is(a.Err, engine.ErrChanged) {
		return a.Err
	}
	detail, known := v.advice(a)
	if !known {
		return a.Err
	}
	return httpio.Problem(http.StatusConflict, detail)
}

// advice says why the ledger refused a verb and what to do instead. known is false
// for an error of another kind.
func (v Verb) advice(a ledger.Acted) (detail string, known bool) {
	state := a.Record.State
	var deleted *retention.Deleted
	switch {
	case errors.As(a.Err, &deleted):
		return deleted.Error(), true
	case errors.Is(a.Err, retention.ErrNeeded):
		return "the job cannot be deleted yet: " + a.Err.Error() + "; delete it when they have started, or cancel them", true
	case errors.Is(a.Err, retention.ErrBatch):
		return "the frame cannot be deleted yet: " + a.Err.Error() + "; delete it when the batch has ended, or cancel the batch", true
	case errors.Is(a.Err, retention.ErrSending):
		return "the job cannot be deleted yet: " + a.Err.Error() + "; delete it when that has been sent or given up", true
	case errors.Is(a.Err, ledger.ErrNotEnded) && v.Name == ledger.VerbDelete:
		return fmt.Sprintf("the job has not come to its end: it is %s; cancel it first", state), true
	case errors.Is(a.Err, ledger.ErrUnknown):
		return "no job with this id is known", true
	case errors.Is(a.Err, ledger.ErrMissing) && state == jobs.Succeeded:
		return "the store has the result of the job; nothing is missing", true
	case errors.Is(a.Err, ledger.ErrMissing):
		return fmt.Sprintf("the job has no result that could be missing: it is %s", state), true
	case errors.Is(a.Err, ledger.ErrFinal) && state == jobs.Succeeded:
		return `the job has succeeded and its result never changes: POST {"as_new": true} to /api/v1/jobs/` + a.ID +
			"/retry to run it again as a new job", true
	case errors.Is(a.Err, checkpoints.ErrUnable):
		return fmt.Sprintf(`the program %s does not save a checkpoint on request: its program.json does not say "checkpoint" at the node that runs it`, a.Record.Program), true
	case errors.Is(a.Err, ledger.ErrNotRunning) && v.Name == ledger.VerbCheckpoint:
		return fmt.Sprintf("the job does not run: it is %s, and only a running program can save a checkpoint", state), true
	case errors.Is(a.Err, ledger.ErrFinal):
		return fmt.Sprintf("the job has already come to its end: %s; it cannot be %s, but retry runs it again", state, v.Done), true
	case errors.Is(a.Err, ledger.ErrNotEnded):
		return fmt.Sprintf("the job has not come to its end: it is %s; wait for that, or use reset to let it start over now", state), true
	case errors.Is(a.Err, ledger.ErrNotRunning):
		return fmt.Sprintf("the job does not run: it is %s; use cancel to end it before it starts", state), true
	case errors.Is(a.Err, ledger.ErrNoLoop):
		return "the job does not repeat: use cancel to end it", true
	case errors.Is(a.Err, ledger.ErrNeeds):
		return "the job cannot run as things are: " + textBefore(a.Err, ledger.ErrNeeds), true
	case errors.Is(a.Err, ledger.ErrCancelled):
		return "the job was cancelled itself; retry it if it shall run", true
	case errors.Is(a.Err, ledger.ErrOwnReason):
		return "the job failed for a reason of its own; retry it if it shall run", true
	case errors.Is(a.Err, ledger.ErrDocument):
		return "the job would fail again: " + textBefore(a.Err, ledger.ErrDocument) + "; submit a corrected document under a new id", true
	}
	return "", false
}

// textBefore returns what an error says before the sentinel that it wraps.
func textBefore(err, sentinel error) string {
	return strings.TrimSuffix(err.Error(), ": "+sentinel.Error())
}
