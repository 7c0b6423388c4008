package main

import (
	"fmt"
	"time"

	"github.com/runnerbean/runnerbean/jobs"
)

// span is a time in the one or two units that matter.
func span(d time.Duration) string {
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

// timeLeft is how long a running job will take if it goes on as it has; ok is
// false where that cannot be said.
func timeLeft(r jobs.Result, now time.Time) (left time.Duration, ok bool) {
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

// shortID is enough of an id for a person to tell jobs apart.
func shortID(id string) string {
	if len(id) != 36 {
		return shorten(clean(id), 13)
	}
	return id[:8] + "…" + id[32:]
}
