// Package keepspan computes with how long jobs are kept after their end.
package keepspan

import (
	"errors"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/jobs"
)

// errKeep says what a text must be.
var errKeep = errors.New(`must be a time span above 0 such as "30d", "forever", or both by final state such as succeeded=90d,failed=30d`)

// Parse reads "90d" or "forever" for all final states, or spans by state such as
// "succeeded=90d,failed=30d". "" says nothing. It reads what [jobs.Keep.String] returns.
func Parse(text string) (jobs.Keep, error) {
	var k jobs.Keep
	if strings.TrimSpace(text) == "" {
		return k, nil
	}
	if !strings.Contains(text, "=") {
		d, err := span(text)
		return jobs.Keep{Succeeded: d, Failed: d, Cancelled: d}, err
	}
	for _, part := range strings.Split(text, ",") {
		state, value, _ := strings.Cut(part, "=")
		d, err := span(value)
		field := field(&k, jobs.State(strings.TrimSpace(state)))
		if err != nil || field == nil || *field != 0 {
			return jobs.Keep{}, errKeep
		}
		*field = d
	}
	return k, nil
}

func span(text string) (jobs.Duration, error) {
	var d jobs.Duration
	if err := d.UnmarshalText([]byte(strings.TrimSpace(text))); err != nil || d <= 0 {
		return 0, errKeep
	}
	return d, nil
}

// field returns the span of a final state, or nil for another state.
func field(k *jobs.Keep, state jobs.State) *jobs.Duration {
	switch state {
	case jobs.Succeeded:
		return &k.Succeeded
	case jobs.Failed:
		return &k.Failed
	case jobs.Cancelled:
		return &k.Cancelled
	}
	return nil
}

// Of returns how long a job is kept that ended in a state: a span, [jobs.Forever], or 0
// if k says nothing.
func Of(k jobs.Keep, state jobs.State) jobs.Duration {
	if d := field(&k, state); d != nil {
		return *d
	}
	return 0
}

// Or returns k, with the spans of other where k says nothing.
func Or(k, other jobs.Keep) jobs.Keep {
	for _, state := range jobs.States {
		if d := field(&k, state); d != nil && *d == 0 {
			*d = Of(other, state)
		}
	}
	return k
}

// Shortest returns the shortest span of k, or 0 if no state is deleted after a time.
func Shortest(k jobs.Keep) time.Duration {
	shortest := jobs.Forever
	for _, d := range []jobs.Duration{k.Succeeded, k.Failed, k.Cancelled} {
		if d > 0 {
			shortest = min(shortest, d)
		}
	}
	if shortest == jobs.Forever {
		return 0
	}
	return time.Duration(shortest)
}
