package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/runnerbean/runnerbean/internal/retry"
	"github.com/runnerbean/runnerbean/jobs/internal/web"
)

const (
	holdFor      = 30 * time.Second       // what Prefer: wait asks for
	restDefault  = time.Second            // between two polls where the server does not say
	restLeast    = 100 * time.Millisecond // whatever the server says
	backoffFirst = 100 * time.Millisecond
	backoffMost  = 10 * time.Second
	unknownMost  = time.Second // between two polls of a job that is not known yet
	warnAfter    = 3           // failures in a row
	// lastingGrace is for how long a fault that does not pass by itself is tried again: a
	// certificate or a name may be changed right now.
	lastingGrace = 5 * time.Second
)

// Wait blocks until the job whose result is at url has ended, and returns its final
// result: look at State. It retries while the network or the server is away, so
// give ctx a deadline. The error is a [*Problem] for a job that is unknown for
// longer than Config.Grace and for any other lasting refusal, [ErrNotResult] for a URL
// that answers with something else for as long, and comes after a few seconds for what
// does not pass: a certificate that is not trusted, an unknown host, a wrong scheme.
func (c *Client) Wait(ctx context.Context, url string) (Result, error) {
	w, err := c.newPoller(url)
	if err != nil {
		return Result{}, err
	}
	w.hold = holdFor
	for {
		res, err := w.next(ctx)
		if err != nil || res.State.Final() {
			return res, err
		}
	}
}

// poller asks for one result again and again, with backoff.
type poller struct {
	c   *Client
	url string
	// hold is how long the server may delay its answer until the state changes.
	hold time.Duration
	// rest is how long to wait before the next request.
	rest time.Duration
	// row is the kind of the newest failures, since when there is no other kind.
	row      failure
	since    time.Time
	failures int // in a row, of any kind
	// last is the error of the newest of them.
	last error
}

func (c *Client) newPoller(url string) (*poller, error) {
	if _, err := web.ParseURL(url); err != nil {
		return nil, fmt.Errorf("jobs: result: %w", err)
	}
	return &poller{c: c, url: url}, nil
}

// next blocks until the server has answered with the state of the job, or with a
// lasting error.
func (w *poller) next(ctx context.Context) (Result, error) {
	for {
		if err := w.pause(ctx); err != nil {
			return Result{}, err
		}
		begun := time.Now()
		a, err := w.c.get(ctx, w.url, w.hold)
		if err == nil {
			w.succeeded()
			// An answer that was held back has waited already.
			rest := cmp.Or(a.retryAfter, restDefault) - time.Since(begun)
			w.rest = max(rest, restLeast)
			return a.result, nil
		}
		if err := w.failed(ctx, err, a.retryAfter); err != nil {
			return Result{}, err
		}
	}
}

// pause waits for as long as the last answer asks for.
func (w *poller) pause(ctx context.Context) error {
	rest := w.rest
	w.rest = 0
	if rest <= 0 {
		return w.ended(ctx)
	}
	if !retry.Sleep(ctx, rest) {
		return w.ended(ctx)
	}
	return nil
}

// ended returns the error of ctx with the last failure, or nil if ctx has not
// ended.
func (w *poller) ended(ctx context.Context) error {
	switch {
	case ctx.Err() == nil:
		return nil
	case w.last == nil || errors.Is(w.last, ctx.Err()):
		return w.wrap(ctx.Err())
	}
	return w.wrap(fmt.Errorf("%w; last error: %w", ctx.Err(), w.last))
}

func (w *poller) succeeded() {
	w.row, w.failures, w.last = 0, 0, nil
}

// failed returns nil if another try is worthwhile, and sets w.rest.
func (w *poller) failed(ctx context.Context, err error, after time.Duration) error {
	if ctx.Err() != nil {
		return w.ended(ctx) // err is only what the end of ctx looks like
	}
	w.last = err
	kind := kindOf(err)
	if kind != w.row {
		w.row, w.since = kind, time.Now()
	}
	most := backoffMost
	if isStatus(err, http.StatusNotFound) {
		most = unknownMost
	}
	w.failures++
	w.rest = max(retry.Backoff{Base: backoffFirst, Max: most}.Wait(w.failures), after)
	if kind != passing {
		left := w.c.grace(kind) - time.Since(w.since)
		if left <= 0 {
			return w.wrap(err)
		}
		w.rest = min(w.rest, left)
	}
	if w.failures == warnAfter && most == backoffMost {
		w.c.cfg.Logger.Warn("result cannot be read, will try on", slog.String("url", web.WithoutQuery(w.url)), slog.Any("err", err))
	}
	return nil
}

// failure is a kind of failure, by how long it is worthwhile to try again.
type failure int

const (
	passing  failure = iota + 1 // until the context ends
	noResult                    // not found, or something else: Config.Grace
	lasting                     // lastingGrace
	refused                     // not at all
)

func kindOf(err error) failure {
	if _, ok := errors.AsType[*web.Lasting](err); ok {
		return lasting
	}
	switch {
	case isStatus(err, http.StatusNotFound), errors.Is(err, ErrNotResult):
		return noResult
	case temporary(err):
		return passing
	}
	return refused
}

// grace is for how long failures of a kind in a row are tried again.
func (c *Client) grace(kind failure) time.Duration {
	switch kind {
	case noResult:
		return c.cfg.Grace
	case lasting:
		return min(lastingGrace, c.cfg.Grace)
	}
	return 0
}

func (w *poller) wrap(err error) error {
	return fmt.Errorf("jobs: result %s: %w", web.WithoutQuery(w.url), err)
}

// temporary reports whether the next request may succeed.
func temporary(err error) bool {
	if p, ok := errors.AsType[*Problem](err); ok {
		switch p.Status {
		case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
			return true
		}
		return p.Status >= 500
	}
	return !errors.Is(err, ErrNotResult) && !errors.Is(err, ErrResultTooLarge)
}

func isStatus(err error, status int) bool {
	p, ok := errors.AsType[*Problem](err)
	return ok && p.Status == status
}
