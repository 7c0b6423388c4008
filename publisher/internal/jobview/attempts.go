package jobview

import (
	"fmt"
	"slices"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// MaxAttempts is how many attempts a page lists.
const MaxAttempts = 20

// Attempt is the view of one attempt.
type Attempt struct {
	Number, Outcome, Tone, LogURL, Message string
	When                                   []text.Piece
	Files                                  []File // that it left without a success
	NotKept                                string
}

// NewestAttempts returns the attempts that a page lists, the newest first, and
// says how many earlier ones there are.
func NewestAttempts(list []api.Attempt) (shown []api.Attempt, earlier string) {
	if more := len(list) - MaxAttempts; more > 0 {
		list, earlier = list[more:], fmt.Sprintf("%d earlier ones are not listed.", more)
	}
	shown = slices.Clone(list)
	slices.Reverse(shown)
	return shown, earlier
}

// NewAttempt returns the view of an attempt of the job in d.
func NewAttempt(a api.Attempt, d Data) Attempt {
	v := Attempt{
		Number: fmt.Sprint(a.Number), Outcome: text.Line(string(a.Outcome), text.NameLimit),
		Tone: OutcomeTone(a.Outcome), Message: text.Line(a.Message, 200),
	}
	of := fmt.Sprintf("attempt=%d", a.Number)
	if logURL := text.Link(d.LogURL); logURL != "" {
		v.LogURL = httpio.AddQuery(logURL, of+"&"+asShown)
	}
	if d.Query != "" {
		of = d.Query + "&" + of
	}
	v.Files, v.NotKept = artifacts(a.Artifacts, d.FilesURL, of), notKept(a.LeftOut)
	if a.Outcome == "" {
		v.Outcome = string(jobs.Running)
	}
	if a.Node != "" {
		v.When = append(v.When, text.Words("on %s, ", text.Line(a.Node, text.NameLimit)))
	}
	if a.Quarantine {
		v.When = append(v.When, text.Words("with nothing beside it, "))
	}
	v.When = append(v.When, text.Words("started "), text.Moment(a.Started))
	if !a.Finished.IsZero() && !a.Finished.Before(a.Started) {
		v.When = append(v.When, text.Words(", took %s", text.Duration(a.Finished.Sub(a.Started))))
	}
	return v
}

// OutcomeTone returns the CSS class for the outcome of an attempt.
func OutcomeTone(o jobs.Outcome) string {
	switch o {
	case "":
		return StateTone(jobs.Running)
	case jobs.OutcomeSucceeded:
		return StateTone(jobs.Succeeded)
	case jobs.OutcomeCancelled, jobs.OutcomeInterrupted, jobs.OutcomeLost:
		return "warn"
	}
	return StateTone(jobs.Failed)
}
