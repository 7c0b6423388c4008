package queue

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// overloadError says why a put was not sent.
type overloadError struct {
	addr           string
	expected, left time.Duration
	why            error // the end of the caller's context, or nil
}

func (e *overloadError) Error() string {
	return fmt.Sprintf("queue: %s: put: overloaded: an answer is expected after %v, and %v are left",
		e.addr, e.expected.Round(time.Millisecond), max(0, e.left).Round(time.Millisecond))
}

func (e *overloadError) Unwrap() error { return e.why }

func (e *overloadError) Is(target error) bool { return target == ErrOverloaded }

// errAway means that a put was not sent because the server does not answer.
var errAway = errors.New("queue: server is away")

// awayError is errAway with its reason.
type awayError struct{ why error }

func (e *awayError) Error() string        { return e.why.Error() }
func (e *awayError) Unwrap() error        { return e.why }
func (e *awayError) Is(target error) bool { return target == errAway }

// errIdle is why a connection that was idle for long is closed.
var errIdle = errors.New("queue: connection was idle")

// errLost means that a connection ended before the answer to a put came.
var errLost = errors.New("queue: connection was lost")

// lostError is the error of puts that were in flight on a connection that ended.
type lostError struct {
	addr string
	why  error
}

func (e *lostError) Error() string {
	return fmt.Sprintf("queue: %s: put: the message may have been put: %v", e.addr, e.why)
}

func (e *lostError) Unwrap() error        { return e.why }
func (e *lostError) Is(target error) bool { return target == errLost || target == ErrMaybePut }

// joinErrors joins the errors of one message at two servers. If the message may have been
// put at one of them, the result says so, and does not match an error that means that it
// was not put.
func joinErrors(a, b error) error {
	switch {
	case a == nil:
		return b
	case b == nil, strings.Contains(a.Error(), b.Error()):
		return a
	}
	switch maybeA, maybeB := errors.Is(a, ErrMaybePut), errors.Is(b, ErrMaybePut); {
	case maybeA && !maybeB:
		return fmt.Errorf("%w\n%v", a, b)
	case maybeB && !maybeA:
		return fmt.Errorf("%v\n%w", a, b)
	}
	return errors.Join(a, b)
}

// copiesError means that a message is on fewer servers than it should be.
type copiesError struct {
	n, copies int
	why       error
}

func (e *copiesError) Error() string {
	return fmt.Sprintf("queue: put on %d of %d servers: %v", e.n, e.copies, e.why)
}

// Is does not match errors that mean that the message was not put, but for the one that no
// other try can mend.
func (e *copiesError) Is(target error) bool {
	return target == ErrMaybePut || target == ErrTooBig && errors.Is(e.why, ErrTooBig)
}
