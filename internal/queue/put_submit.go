package queue

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// maxWaiting and maxWaitingBytes bound the puts that wait for one server.
	maxWaiting      = 16 << 10
	maxWaitingBytes = 64 << 20
)

// submit takes the puts of a request, or returns an error if none of them was sent.
func (q *putQueue) submit(r *request) error {
	now := time.Now()
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.admit(r, now); err != nil {
		return err
	}
	q.waiting.pushBack(r)
	q.watch()
	q.proceed(now)
	return nil
}

// admit returns why a request is refused.
func (q *putQueue) admit(r *request, now time.Time) error {
	if q.closed {
		return ErrClosed
	}
	left := r.deadline.Sub(now)
	if err := q.away(r, now, left); err != nil {
		return err
	}
	puts, bytes := r.share()
	full := q.waiting.puts+puts > maxWaiting || q.waiting.bytes+bytes > maxWaitingBytes
	if q.inFlight == 0 && !full {
		return nil // whatever was measured may be old
	}
	if expected := q.load.wait(q.inFlight + q.waiting.puts); expected > left || full {
		return &overloadError{addr: q.addr, expected: expected, left: left}
	}
	return nil
}

// away returns an error if the server does not answer or has just refused a put, so that the request should go to
// another server. The last server is tried nevertheless, unless that was done just now.
func (q *putQueue) away(r *request, now time.Time, left time.Duration) error {
	if !r.last && q.refusals.rests(now) {
		return &awayError{q.refusals.err}
	}
	if q.breaker.open() && q.dialing == 0 {
		try := q.breaker.mayTry(now, r.last)
		if try && !r.last {
			q.dial(now)
		}
		if !try || !r.last {
			return &awayError{q.breaker.err}
		}
	}
	silent := q.silent(now)
	switch quiet := silent > q.load.silence(); {
	case !r.last && (quiet || q.breaker.open()):
		return q.silenceError(silent)
	case quiet && silent > left: // an answer is not to be expected sooner
		return &overloadError{addr: q.addr, expected: silent, left: left}
	}
	return nil
}

// refused returns why the server has refused the last put, or nil.
func (q *putQueue) refused() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.refusals.err
}

// tryRefused reports whether it is time to find out if the server still refuses puts.
func (q *putQueue) tryRefused(now time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.refusals.open() && !q.refusals.rests(now) && !q.breaker.open()
}

// silent returns for how long the server has not answered while it should.
func (q *putQueue) silent(now time.Time) time.Duration {
	switch {
	case q.sent > 0:
		return now.Sub(q.progress)
	case q.dialing > 0 && len(q.conns) == 0:
		return now.Sub(q.dialed)
	}
	return 0
}

func (q *putQueue) silenceError(silent time.Duration) error {
	return &awayError{fmt.Errorf("queue: %s: put: no answer for %v", q.addr, silent.Round(time.Millisecond))}
}

// collect calls f for each put that has ended since the last call. It returns how many
// have not, and whether the server has fallen silent since.
func (q *putQueue) collect(r *request, f func(*put)) (left int, quiet bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range r.puts {
		if p := &r.puts[i]; p.state == putEnded {
			p.state = putCollected
			f(p)
		}
	}
	quiet, r.quiet = r.quiet, false
	return r.left, quiet
}

// withdraw ends the puts of a request whose caller leaves. Answers to those in flight are
// read later and dropped.
func (q *putQueue) withdraw(r *request, why error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting.remove(r)
	for i := range r.puts[:r.next] {
		r.puts[i].end(Outcome{Err: &lostError{q.addr, why}})
	}
	if errors.Is(why, context.DeadlineExceeded) && q.inFlight > 0 {
		r.endRest(&overloadError{addr: q.addr, expected: q.load.wait(q.inFlight + q.waiting.puts), why: why})
	}
	r.endRest(fmt.Errorf("queue: %s: put: %w", q.addr, why))
}

// close ends everything. It returns when all connections are closed.
func (q *putQueue) close() {
	q.end()
	q.mu.Lock()
	q.closed = true
	for r := q.waiting.first; r != nil; r = q.waiting.first {
		q.waiting.remove(r)
		r.endRest(ErrClosed)
	}
	for _, c := range q.conns {
		c.fail(ErrClosed)
	}
	q.mu.Unlock()
	q.tasks.Wait()
}
