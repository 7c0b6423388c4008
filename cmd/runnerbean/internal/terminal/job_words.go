package terminal

import (
	"fmt"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/jobs"
)

// Duration writes a duration in one or two units.
func Duration(d time.Duration) string {
	switch {
	case d < 0:
		return "0 s"
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 10*time.Minute && d.Truncate(time.Second)%time.Minute != 0:
		return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%d days", int(d.Hours())/24)
}

// TimeLeft estimates from its progress how long a job will still run. ok is false where
// no estimate is possible.
func TimeLeft(r jobs.Result, now time.Time) (left time.Duration, ok bool) {
	passed := now.Sub(r.Started)
	if r.State != jobs.Running || r.Progress == nil || r.Started.IsZero() || passed < 2*time.Second {
		return 0, false
	}
	p := *r.Progress
	if !(p > 0.01 && p < 1) {
		return 0, false
	}
	return time.Duration(float64(passed) / p * (1 - p)), true
}

// JobNote returns the error of a failed job, the progress of a running one, or the
// reason why a job waits.
func JobNote(r jobs.Result) string {
	switch {
	case r.Error != nil && r.State.Final():
		return Shorten(JobError(r.Error), 60)
	case r.State == jobs.Running && r.Progress != nil:
		return fmt.Sprintf("%.0f %% %s", *r.Progress*100, Shorten(Safe(r.Message), 40))
	default:
		return Shorten(Safe(r.Reason), 60)
	}
}

// Chunk returns what a running program works on: "packages-17 of 40"; empty for nil.
func Chunk(c *jobs.Chunk) string {
	switch {
	case c == nil:
		return ""
	case c.Of == "":
		return Safe(c.ID)
	}
	return Safe(c.ID) + " of " + Safe(c.Of)
}

// Time writes a time in the zone of this machine, and the zero time as "-".
func Time(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

// Shorten returns text with at most the given number of characters.
func Shorten(text string, most int) string {
	runes := []rune(text)
	if len(runes) <= most {
		return text
	}
	return string(runes[:most-1]) + "…"
}

// JobError writes the error of a job with its class.
func JobError(e *jobs.Error) string {
	if e == nil {
		return "no reason is recorded"
	}
	text := Safe(string(e.Class)) + ": " + Safe(e.Message)
	if e.Pointer != "" {
		text += " (at " + Safe(e.Pointer) + ")"
	}
	return text
}

// JobStatus writes the state, progress and reason of a job in one line.
func JobStatus(r jobs.Result) string {
	var text strings.Builder
	text.WriteString(Safe(string(r.State)))
	if r.Progress != nil && !r.State.Final() {
		fmt.Fprintf(&text, " %3.0f %%", *r.Progress*100)
	}
	if r.Position != nil && r.State == jobs.Queued {
		fmt.Fprintf(&text, ", %d before it", *r.Position)
	}
	if r.Message != "" && r.State == jobs.Running {
		text.WriteString(", " + Safe(r.Message))
	}
	if r.Reason != "" && !r.State.Final() {
		text.WriteString(", " + Safe(r.Reason))
	}
	return text.String()
}

// VerbAnswer says what a verb did to the job with this id. status is the node's answer,
// base the URL of the node.
func VerbAnswer(base, id string, status jobs.Result) string {
	switch {
	case status.ID != id:
		return "runs again as a new job: " + base + "/" + status.ID
	case status.State == jobs.Running && status.Reason != "":
		return Safe(status.Reason)
	case status.State == jobs.Queued:
		return "is queued again"
	case status.State == jobs.Waiting:
		return Safe(status.Reason)
	}
	return "is " + string(status.State)
}
