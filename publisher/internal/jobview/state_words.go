package jobview

import (
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/jobs"
)

// StateTone returns the CSS class for a state.
func StateTone(s jobs.State) string {
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

// verdict returns the sentence about the state of a job.
func verdict(r jobs.Result) []text.Piece {
	switch r.State {
	case jobs.Waiting:
		if strings.HasPrefix(r.Reason, "no node has") {
			return []text.Piece{text.Words("Waiting for a node that has its program.")}
		}
		return []text.Piece{text.Words("Waiting for other jobs.")}
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
	return []text.Piece{text.Words("%s.", text.Line(string(r.State), text.NameLimit))}
}

func queued(r jobs.Result) []text.Piece {
	switch {
	case r.NotBefore.After(r.Timestamp):
		return []text.Piece{text.Words("Queued, earliest start "), text.Moment(r.NotBefore), text.Words(".")}
	case r.Position == nil:
		return []text.Piece{text.Words("Queued.")}
	case *r.Position <= 0:
		return []text.Piece{text.Words("Queued, next in line.")}
	case *r.Position == 1:
		return []text.Piece{text.Words("Queued, 1 job before it.")}
	}
	return []text.Piece{text.Words("Queued, %d jobs before it.", *r.Position)}
}

func running(r jobs.Result) []text.Piece {
	s := []text.Piece{text.Words("Running%s", onNode(r))}
	if !r.Started.IsZero() {
		s = append(s, text.Words(" since "), text.Moment(r.Started))
	}
	if r.Attempt > 1 {
		s = append(s, text.Words(", attempt %d", r.Attempt))
	}
	return append(s, text.Words("."))
}

func ended(r jobs.Result, how, finished string) []text.Piece {
	s := []text.Piece{text.Words("%s%s", how, onNode(r))}
	if took, ok := Took(r); ok {
		s = append(s, text.Words(" after %s", text.Duration(took)))
	}
	if r.Attempt > 1 {
		s = append(s, text.Words(", at attempt %d", r.Attempt))
	}
	if !r.Finished.IsZero() {
		s = append(s, text.Words(", %s ", finished), text.Moment(r.Finished))
	}
	return append(s, text.Words("."))
}

func onNode(r jobs.Result) string {
	if r.Node == "" {
		return ""
	}
	return " on " + text.Line(r.Node, text.NameLimit)
}

// Took returns how long the newest attempt of a job ran. It reports whether that
// is known.
func Took(r jobs.Result) (time.Duration, bool) {
	if r.Started.IsZero() || r.Finished.Before(r.Started) {
		return 0, false
	}
	return r.Finished.Sub(r.Started), true
}

// TimeLeft estimates the remaining time of a running job from its progress. It
// returns "" where too little is known. runnerbean.js uses the same words.
func TimeLeft(r jobs.Result) string {
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
	return "about " + text.RoughDuration(rest) + " left"
}

// ErrorWords returns a sentence, without its full stop, for the class of an error.
func ErrorWords(class jobs.Outcome) string {
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
	return "It ended with " + text.Line(string(class), text.NameLimit)
}
