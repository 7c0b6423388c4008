package publisher

import (
	"fmt"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// maxAttemptsShown is how many attempts a page lists, the newest ones.
const maxAttemptsShown = 20

// attemptView is one attempt as a page shows it.
type attemptView struct {
	Number, Outcome, Tone, LogURL, Message string
	When                                   []text.Piece
	Files                                  []fileView // kept although it is no success
	NotKept                                string
}

// attempts lists what was tried, the newest first.
func (v *jobView) attempts(d pageData) {
	list := d.Attempts
	if more := len(list) - maxAttemptsShown; more > 0 {
		list = list[more:]
		v.Earlier = fmt.Sprintf("%d earlier ones are not listed.", more)
	}
	for i := len(list) - 1; i >= 0; i-- {
		v.Attempts = append(v.Attempts, viewAttempt(list[i], d))
	}
}

func viewAttempt(a api.Attempt, d pageData) attemptView {
	v := attemptView{
		Number: fmt.Sprint(a.Number), Outcome: text.Line(string(a.Outcome), text.NameLimit),
		Tone: outcomeTone(a.Outcome), Message: text.Line(a.Message, 200),
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

// outcomeTone is how the end of an attempt looks.
func outcomeTone(o jobs.Outcome) string {
	switch o {
	case "":
		return tone(jobs.Running)
	case jobs.OutcomeSucceeded:
		return tone(jobs.Succeeded)
	case jobs.OutcomeCancelled, jobs.OutcomeInterrupted, jobs.OutcomeLost:
		return "warn"
	}
	return tone(jobs.Failed)
}
