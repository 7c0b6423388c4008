package worker

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/panics"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/worker/internal/fault"
)

// Why an attempt may be stopped, besides fault.ErrStale and panics.
var (
	errAsked       = errors.New("a person has asked for it")
	errDrained     = errors.New("the node is drained")
	errInterrupted = errors.New("the node was shut down")
)

// finishTime is how long an attempt may write to the ledger and the store after its
// context has ended.
const finishTime = 30 * time.Second

// stopper stops one attempt.
type stopper struct {
	// ctx ends when the attempt is to end. Its program gets time for that.
	ctx    context.Context
	cancel context.CancelCauseFunc
	// killed ends when the program is to be killed at once.
	killed context.Context
	kill   context.CancelCauseFunc
	verb   atomic.Pointer[ledger.Verb]  // what a person has asked for
	panic  atomic.Pointer[panics.Error] // of another goroutine than the executor's
}

// newStopper returns a stopper whose ctx ends with ctx. The caller calls release.
func newStopper(ctx context.Context) *stopper {
	s := &stopper{}
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	s.killed, s.kill = context.WithCancelCause(context.Background())
	return s
}

func (s *stopper) release() {
	s.cancel(nil)
	s.kill(nil)
}

// obey stops the attempt as a person has asked. A later verb replaces an earlier one,
// also while the program is ending.
func (s *stopper) obey(verb ledger.Verb) {
	s.verb.Store(&verb)
	if verb != ledger.VerbCancel {
		s.kill(errAsked)
	}
	s.cancel(errAsked)
}

func (s *stopper) asked() ledger.Verb {
	if verb := s.verb.Load(); verb != nil {
		return *verb
	}
	return ""
}

// guard calls f, which works on the attempt on another goroutine than the executor's. A
// panic in it stops the attempt.
func (s *stopper) guard(f func()) {
	if caught := panics.Catch(f); caught != nil && s.panic.CompareAndSwap(nil, caught) {
		s.kill(caught)
		s.cancel(caught)
	}
}

// fault returns why ctx has ended.
func (s *stopper) fault(node string) error {
	verb := s.asked()
	switch {
	case errors.Is(context.Cause(s.ctx), fault.ErrStale):
		return fault.ErrStale
	case verb == ledger.VerbReset:
		return &fault.Fault{Outcome: jobs.OutcomeInterrupted, Message: "reset while it ran"}
	case verb == ledger.VerbTerminate:
		return &fault.Fault{Outcome: jobs.OutcomeCancelled, Message: "terminated while it ran"}
	case verb != "":
		return &fault.Fault{Outcome: jobs.OutcomeCancelled, Message: "cancelled while it ran"}
	}
	if errors.Is(context.Cause(s.ctx), errDrained) {
		return &fault.Fault{Outcome: jobs.OutcomeInterrupted, Message: "interrupted: node " + node + " is drained, and the program has saved a checkpoint"}
	}
	return &fault.Fault{Outcome: jobs.OutcomeInterrupted, Message: "interrupted: node " + node + " was shut down", Shutdown: true}
}

// extend returns a context that ends d after ctx has ended.
func extend(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	long, cancel := context.WithCancel(context.WithoutCancel(ctx))
	unhook := context.AfterFunc(ctx, func() { time.AfterFunc(d, cancel) })
	return long, func() { unhook(); cancel() }
}
