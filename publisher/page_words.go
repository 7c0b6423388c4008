package publisher

import (
	"fmt"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/jobs"
)

// piece is a part of a sentence: words, or a moment that is set in a time
// element.
type piece struct {
	Text string
	ISO  string
}

func words(format string, args ...any) piece { return piece{Text: fmt.Sprintf(format, args...)} }

// stamp is a moment in UTC; scripts show it on the reader's clock.
func stamp(t time.Time) piece {
	t = t.UTC()
	return piece{Text: t.Format("2 Jan 2006, 15:04:05") + " UTC", ISO: t.Format(time.RFC3339Nano)}
}

// Brief is the moment in few characters: the time alone if it is of today.
func (p piece) Brief() string {
	t, err := time.Parse(time.RFC3339Nano, p.ISO)
	switch {
	case err != nil:
		return p.Text
	case t.Format(time.DateOnly) == time.Now().UTC().Format(time.DateOnly):
		return t.Format("15:04:05") + " UTC"
	}
	return t.Format("2 Jan 2006")
}

// tone is how a state looks.
func tone(s jobs.State) string {
	switch s {
	case jobs.Running:
		return "run"
	case jobs.Succeeded:
		return "ok"
	case jobs.Failed:
		return "bad"
	case jobs.Waiting, jobs.Queued, jobs.Cancelled:
		return "warn"
	}
	return "soft"
}

// verdict says in words where a job stands.
func verdict(r jobs.Result) []piece {
	switch r.State {
	case jobs.Waiting:
		if strings.HasPrefix(r.Reason, "no node has") {
			return []piece{words("Waiting for a node that has its program.")}
		}
		return []piece{words("Waiting for other jobs.")}
	case jobs.Queued:
		return queued(r)
	case jobs.Running:
		return running(r)
	case jobs.Succeeded:
		return ended(r, "Succeeded", "finished")
	case jobs.Failed:
		return ended(r, "Failed", "ended")
	case jobs.Cancelled:
		return ended(r, "Cancelled", "ended")
	}
	return []piece{words("%s.", show(string(r.State), maxNameRunes))}
}

func queued(r jobs.Result) []piece {
	switch {
	case r.NotBefore.After(r.Timestamp):
		return []piece{words("Queued, earliest start "), stamp(r.NotBefore), words(".")}
	case r.Position == nil:
		return []piece{words("Queued.")}
	case *r.Position <= 0:
		return []piece{words("Queued, next in line.")}
	case *r.Position == 1:
		return []piece{words("Queued, 1 job before it.")}
	}
	return []piece{words("Queued, %d jobs before it.", *r.Position)}
}

func running(r jobs.Result) []piece {
	s := []piece{words("Running%s", onNode(r))}
	if !r.Started.IsZero() {
		s = append(s, words(" since "), stamp(r.Started))
	}
	if r.Attempt > 1 {
		s = append(s, words(", attempt %d", r.Attempt))
	}
	return append(s, words("."))
}

func ended(r jobs.Result, how, finished string) []piece {
	s := []piece{words("%s%s", how, onNode(r))}
	if took, ok := duration(r); ok {
		s = append(s, words(" after %s", span(took)))
	}
	if r.Attempt > 1 {
		s = append(s, words(", at attempt %d", r.Attempt))
	}
	if !r.Finished.IsZero() {
		s = append(s, words(", %s ", finished), stamp(r.Finished))
	}
	return append(s, words("."))
}

func onNode(r jobs.Result) string {
	if r.Node == "" {
		return ""
	}
	return " on " + show(r.Node, maxNameRunes)
}

func duration(r jobs.Result) (time.Duration, bool) {
	if r.Started.IsZero() || r.Finished.Before(r.Started) {
		return 0, false
	}
	return r.Finished.Sub(r.Started), true
}

// left estimates what remains from what has passed; empty where too little is
// known. runnerbean.js says it in the same words.
func left(r jobs.Result) string {
	passed := r.Timestamp.Sub(r.Started)
	if r.State != jobs.Running || r.Progress == nil || r.Started.IsZero() || passed <= 2*time.Second {
		return ""
	}
	p := *r.Progress
	if !(p > 0.01 && p < 1) {
		return ""
	}
	rest := time.Duration(float64(passed) / p * (1 - p))
	if rest < 5*time.Second {
		return "a few seconds left"
	}
	return "about " + roughly(rest) + " left"
}

// because puts the class of an error into words.
func because(class jobs.Outcome) string {
	switch class {
	case jobs.OutcomeFailed:
		return "The program said that it cannot do this job"
	case jobs.OutcomeError:
		return "The program ended in error"
	case jobs.OutcomeTimeout:
		return "It ran longer than allowed"
	case jobs.OutcomeStalled:
		return "It gave no sign of life for too long"
	case jobs.OutcomeKilled:
		return "It was killed"
	case jobs.OutcomeLost:
		return "Its nodes died"
	case jobs.OutcomeInput:
		return "The input could not be used"
	case jobs.OutcomeCancelled:
		return "It was cancelled"
	case jobs.OutcomeInterrupted:
		return "Its node shut down"
	case jobs.OutcomeInternal:
		return "The node failed while it handled this job"
	case jobs.ClassDocument:
		return "The job document has a fault"
	case jobs.ClassExpired:
		return "It had not started when it expired"
	case jobs.ClassNeeds:
		return "A job that it needs did not succeed"
	}
	return "It ended with " + show(string(class), maxNameRunes)
}
