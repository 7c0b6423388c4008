package webhook

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/outbox"
	"github.com/runnerbean/runnerbean/internal/panics"
	"github.com/runnerbean/runnerbean/internal/retry"
)

// manyTries are spread over most of an hour. After that many tries the node may give an
// entry up, even if it was due while all nodes were stopped.
const manyTries = 12

// errBusy is the reason of an entry that was postponed or given up without a try.
var errBusy = errors.New("its host is busy or does not answer")

// outcomes records the outcome of each hook in the outbox.
type outcomes struct{ cfg Config }

func nameOf(h Hook) string {
	if h.Kind == outbox.KindDelivery {
		return "delivery"
	}
	return "webhook"
}

// sent records the result of one try. It reports whether the host did not answer in
// time.
func (o outcomes) sent(ctx context.Context, h Hook, err error) (slow bool) {
	switch {
	case err == nil:
		o.cfg.Observe(h.Kind, "delivered")
		o.check(h, o.cfg.Outbox.Done(ctx, h))
		return false
	case errors.Is(err, ErrGoesOn):
		o.check(h, o.cfg.Outbox.Obsolete(ctx, h))
		return false
	case errors.Is(err, errServed):
		o.check(h, o.cfg.Outbox.Unneeded(ctx, h))
		return false
	case errors.Is(err, ErrNotYet):
		o.putOff(ctx, h, leastWait)
		return false
	}
	o.failed(ctx, h, err)
	var answered *statusError
	return !errors.As(err, &answered)
}

// failed postpones a hook after a failed try, or gives it up.
func (o outcomes) failed(ctx context.Context, h Hook, err error) {
	wait := o.backoff(h.Tries, time.Since(h.Ended))
	var answer *statusError
	gone := h.Kind == outbox.KindDelivery && isPermanent(err)
	if errors.As(err, &answer) {
		wait, gone = max(wait, answer.after), gone || answer.status == http.StatusGone
	}
	next := time.Now().Add(wait)
	if !gone && next.Sub(h.Ended) <= o.cfg.MaxAge {
		o.check(h, o.cfg.Outbox.Failed(ctx, h, next, err.Error(), false))
		o.cfg.Observe(h.Kind, "failed")
		return
	}
	o.giveUp(ctx, h, err)
}

// backoff returns the wait before another try. It is not longer than the time since the
// end of the job. A hook that was only postponed counts as tried. A hook that was due
// while all nodes were stopped counts as old. Both together are rare.
func (o outcomes) backoff(tries int, age time.Duration) time.Duration {
	wait := min(retry.Backoff{Base: o.cfg.Base, Max: o.cfg.Most}.Full(tries+1), max(o.cfg.Base, age))
	return wait*3/4 + time.Duration(o.cfg.Jitter()*float64(wait)/2)
}

// putOff postpones a hook that was not tried. It gives the hook up if that has happened
// for too long. Of many hooks for an unreachable host, only a few are tried.
func (o outcomes) putOff(ctx context.Context, h Hook, wait time.Duration) {
	next := time.Now().Add(wait + time.Duration(o.cfg.Jitter()*float64(leastWait)))
	if h.Tries >= manyTries && next.Sub(h.Ended) > o.cfg.MaxAge {
		o.giveUp(ctx, h, errBusy)
		return
	}
	o.check(h, o.cfg.Outbox.Failed(ctx, h, next, errBusy.Error(), false))
}

// giveUp removes a hook that will not be tried again. It logs and records only the
// host, because the path may be a secret, as with chat services.
func (o outcomes) giveUp(ctx context.Context, h Hook, err error) {
	where := hostOf(h.URL)
	o.cfg.Observe(h.Kind, "given_up")
	o.cfg.Logger.Warn("a "+nameOf(h)+" was given up", "job", h.Job, "host", where, "err", err)
	o.check(h, o.cfg.Outbox.Failed(ctx, h, time.Now(), where+": "+err.Error(), true))
}

// caught gives up a hook on which this node panicked.
func (o outcomes) caught(ctx context.Context, h Hook, caught *panics.Error) {
	o.cfg.Logger.Error("a panic was caught", "job", h.Job, "stage", "webhook", "err", caught, "stack", caught.Stack)
	o.check(h, panics.Call(func() error {
		return o.cfg.Outbox.Failed(ctx, h, time.Now(), "a defect of the node: "+caught.Error()+"\n"+caught.Stack, true)
	}))
}

// check logs an outcome that the outbox did not record. The hook is due again when
// its lease ends.
func (o outcomes) check(h Hook, err error) {
	if err != nil {
		o.cfg.Logger.Warn("how a "+nameOf(h)+" went is not recorded; it will come again", "job", h.Job, "err", err)
	}
}
