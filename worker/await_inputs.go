package worker

import (
	"fmt"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
)

const (
	// inputPatience is for how long the inputs of a job may be impossible to have
	// before it fails.
	inputPatience = 6 * time.Hour
	// leastInputTries and mostInputTries bound how many attempts that takes,
	// whatever clocks say.
	leastInputTries = 3
	mostInputTries  = 100
	// maxRetryAfter is the longest wait that a server is granted.
	maxRetryAfter = 6 * time.Hour
)

// passing is a fault of a server or of the way to it that may be over later.
type passing struct {
	err  error
	host string // empty where it did not ask to wait
	// after is how long the server asks to wait; 0 where it does not.
	after time.Duration
}

func (p *passing) Error() string { return p.err.Error() }
func (p *passing) Unwrap() error { return p.err }

// awaitInputs has a job wait in the queue for inputs that cannot be had yet, or
// ends it after all patience.
func (p policy) awaitInputs(e *ledger.Ending, rec *ledger.Record, f *fault) {
	e.Inputs = ledger.InputsAwaited
	tries, since := rec.FetchTries+1, rec.FetchSince
	if rec.FetchTries == 0 {
		since = p.now
	}
	waited := p.now.Sub(since)
	if tries >= mostInputTries || tries >= leastInputTries && waited >= p.patience {
		e.Error.Message = clean(fmt.Sprintf("%s; given up after %d attempts since %s", f.message, tries, since.UTC().Format(time.RFC3339)), maxMessage)
		return
	}
	wait := p.inputs.wait(tries)
	if after := f.awaits.after; after > 0 {
		// Many jobs may have been asked to wait, and shall not come back at once.
		wait = max(wait, after+time.Duration(p.inputs.jitter()*float64(min(after/4, 5*time.Minute))))
	}
	reason := f.message
	if f.awaits.after > 0 {
		reason = fmt.Sprintf("%s asks to wait %s: %s", f.awaits.host, waitText(f.awaits.after), f.message)
	}
	if tries > 1 {
		reason += fmt.Sprintf("; attempt %d since %s", tries, since.UTC().Format(time.RFC3339))
	}
	p.again(e, wait, reason)
}

// waitText is a wait as people write it: "60 s", "10 min", "2 h 30 min".
func waitText(d time.Duration) string {
	switch d = d.Round(time.Second); {
	case d <= 2*time.Minute || d < time.Hour && d%time.Minute != 0:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	}
	d = d.Round(time.Minute)
	return strings.TrimSuffix(fmt.Sprintf("%d h %d min", d/time.Hour, d%time.Hour/time.Minute), " 0 min")
}
