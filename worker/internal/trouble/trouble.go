// Package trouble notices a node that fails job after job by a fault of its own, and lets
// it try one job now and then until one runs.
package trouble

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/logtext"
	"github.com/runnerbean/runnerbean/internal/retry"
)

const (
	// limit is the number of faults in a row after which a node is in trouble.
	limit = 3
	// maxReason bounds the reason, in bytes.
	maxReason = 300
)

// Config of a Trouble. All fields are required.
type Config struct {
	Node string // its name
	// Backoff is the wait between two tries.
	Backoff retry.Backoff
	// OnChange is called after the node has got into trouble or out of it.
	OnChange func(in bool)
	Logger   *slog.Logger
}

// Trouble counts the faults of a node and lets one job at a time be tried.
type Trouble struct {
	cfg    Config
	trying chan struct{} // full while one executor tries

	mu     sync.Mutex
	row    int       // faults in a row
	tries  int       // that have failed since the node is in trouble
	reason string    // of the last fault
	since  time.Time // zero: not in trouble
	next   time.Time // before it nothing is tried
}

// New returns the Trouble of a node that is well.
func New(cfg Config) *Trouble { return &Trouble{cfg: cfg, trying: make(chan struct{}, 1)} }

// State returns what trouble the node is in, or nil.
func (t *Trouble) State() *api.Trouble {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.since.IsZero() {
		return nil
	}
	return &api.Trouble{Reason: t.reason, Since: t.since.UTC().Truncate(time.Second), Faults: t.row}
}

// Fault records that a job, which began at a time, has failed by a fault of the node.
func (t *Trouble) Fault(began time.Time, reason string) {
	t.mu.Lock()
	before := !t.since.IsZero()
	t.row++
	t.reason = logtext.Clean(reason, maxReason)
	now := time.Now()
	switch {
	case !before && t.row >= limit:
		t.since, t.tries = now, 0
		t.next = now.Add(t.cfg.Backoff.Wait(1))
	case before && !began.Before(t.since): // others say nothing about the time since
		t.tries++
		t.next = now.Add(t.cfg.Backoff.Wait(1 + t.tries))
	}
	row, reason, started := t.row, t.reason, !before && !t.since.IsZero()
	t.mu.Unlock()
	if started {
		t.cfg.Logger.Error("this node has failed several jobs in a row by a fault of its own; it tries one job now and then until one runs",
			"node", t.cfg.Node, "faults", row, "err", reason)
		t.cfg.OnChange(true)
	}
}

// Success records that a job, which began at a time, has run. If the node is in trouble,
// a job that began before says nothing.
func (t *Trouble) Success(began time.Time) {
	t.mu.Lock()
	in := !t.since.IsZero()
	if in && began.Before(t.since) {
		t.mu.Unlock()
		return
	}
	t.row, t.since, t.next = 0, time.Time{}, time.Time{}
	t.mu.Unlock()
	if in {
		t.cfg.Logger.Info("a job has run: this node takes work as usual", "node", t.cfg.Node)
		t.cfg.OnChange(false)
	}
}

// Try waits until the caller may try one job, and returns false if ctx ends before. The
// caller calls done afterwards.
func (t *Trouble) Try(ctx context.Context) (done func(), ok bool) {
	select {
	case t.trying <- struct{}{}:
	case <-ctx.Done():
		return nil, false
	}
	t.mu.Lock()
	wait := time.Until(t.next)
	t.mu.Unlock()
	if !retry.Sleep(ctx, wait) {
		<-t.trying
		return nil, false
	}
	return t.leave, true
}

// leave ends a try. One without a verdict, such as one whose input was not there, does
// not make the next one come at once.
func (t *Trouble) leave() {
	t.mu.Lock()
	if least := time.Now().Add(t.cfg.Backoff.Wait(1)); !t.since.IsZero() && t.next.Before(least) {
		t.next = least
	}
	t.mu.Unlock()
	<-t.trying
}
