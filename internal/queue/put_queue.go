package queue

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/runnerbean/runnerbean/internal/panics"
)

// putQueue carries the puts of many callers to one server, over a few connections. It
// refuses a put at once if the server cannot answer it before its deadline.
type putQueue struct {
	cfg   Config
	addr  string
	tasks sync.WaitGroup  // of connections and dials
	ended context.Context // done after close
	end   context.CancelFunc
	kick  chan struct{} // starts the watch

	mu       sync.Mutex
	closed   bool
	waiting  requests
	conns    []*putConn
	inFlight int       // puts on connections that are not suspect
	sent     int       // puts on all connections
	progress time.Time // of the last answer, or of the first put since none was in flight
	load     load
	breaker  breaker
	refusals breaker // of puts
	numbers  int     // of connections so far
	dialing  int
	dialed   time.Time  // start of the last dial
	cramped  bool       // a put waits because all connections are full
	enough   time.Time  // until when no connection is added to those that work
	run      func()     // looks at the time
	started  bool       // run
	watched  bool       // run looks now
	dirty    []*putConn // have something to write
}

// proceed sends what may be sent, and connects if that helps.
func (q *putQueue) proceed(now time.Time) {
	q.fill(now)
	q.connect(now)
	q.flush()
}

// fill adds puts to the buffers of the connections, in turns.
func (q *putQueue) fill(now time.Time) {
	q.cramped = false
	limit := q.load.limit()
	for r := q.waiting.first; r != nil && q.inFlight < limit; {
		c, then := q.pick(r), r.then
		if c == nil && r.conn == 0 {
			q.cramped = true
			return
		}
		if c != nil {
			q.send(r, c, now, min(turn-r.used, limit-q.inFlight))
			q.waiting.turned(r)
			if then == nil {
				then = q.waiting.first
			}
		}
		r = then
	}
}

// pick returns a connection with room for a put, or nil.
func (q *putQueue) pick(r *request) *putConn {
	var best *putConn
	for _, c := range q.conns {
		switch {
		case c.number == r.conn && c.usable():
			if c.room() {
				return c
			}
			return nil
		case !c.room():
		case best == nil, q.load.far() && c.inFlight.len() < best.inFlight.len():
			best = c
		}
	}
	r.conn = 0
	return best
}

// send adds up to most puts of a request to the buffer of a connection. It ends all that
// would be answered too late.
func (q *putQueue) send(r *request, c *putConn, now time.Time, most int) {
	if len(r.puts) > 1 {
		r.conn = c.number
	}
	left := r.deadline.Sub(now)
	for n := 0; n < most && r.next < len(r.puts) && c.room(); n++ {
		if expected := q.load.wait(q.inFlight); left <= 0 || q.inFlight > 0 && expected > left {
			r.endRest(&overloadError{addr: q.addr, expected: expected, left: left})
			break
		}
		if q.sent == 0 {
			q.progress = now
		}
		q.inFlight++
		q.sent++
		p := &r.puts[r.next]
		p.sent, p.depth = now, q.inFlight
		c.add(p, now)
		r.next++
		r.used++
		r.bytes -= p.size
	}
	if !c.writing && len(c.buffer) > 0 {
		c.writing = true
		q.dirty = append(q.dirty, c)
	}
}

// flush writes what is small, so that the write does not wait, and leaves the rest to the
// writers of the connections.
func (q *putQueue) flush() {
	for len(q.dirty) > 0 {
		c := q.dirty[len(q.dirty)-1]
		q.dirty = q.dirty[:len(q.dirty)-1]
		if c.bytes > directBytes {
			c.signal()
			continue
		}
		out := c.swap()
		q.mu.Unlock()
		_, err := c.wire.Conn.Write(out)
		q.mu.Lock()
		c.wrote(out)
		switch {
		case err != nil:
			c.fail(err)
		case len(c.buffer) > 0:
			c.signal()
		default:
			c.writing = false
		}
	}
}

// unwritten implements putHost.
func (q *putQueue) unwritten(c *putConn, written []byte) ([]byte, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	c.wrote(written)
	if len(c.buffer) == 0 {
		c.writing = false
		return nil, false
	}
	return c.swap(), true
}

// broken implements putHost.
func (q *putQueue) broken(c *putConn, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	c.fail(err)
}

// answered implements putHost.
func (q *putQueue) answered(c *putConn, answers []putAnswer) error {
	now := time.Now()
	q.mu.Lock()
	defer q.mu.Unlock()
	if c.suspect {
		c.suspect = false
		q.inFlight += c.inFlight.len()
	}
	for _, answer := range answers {
		if err := q.match(c, answer, now); err != nil {
			return err
		}
	}
	if len(answers) > 0 {
		q.progress, c.progress = now, now
		q.breaker.worked()
	}
	q.proceed(now)
	return nil
}

// match gives an answer to the put that it belongs to.
func (q *putQueue) match(c *putConn, answer putAnswer, now time.Time) error {
	if c.inFlight.len() == 0 {
		return fmt.Errorf("%w: more than was asked for", ErrReply)
	}
	switch p := c.inFlight.all()[0]; {
	case p.uses && answer.memory:
		return ErrFull // if use failed, the put goes to another tube
	case p.uses != answer.notice:
		return fmt.Errorf("%w: an answer to another command", ErrReply)
	case p.uses:
		p.uses = false
		return nil
	}
	p := c.take()
	q.inFlight--
	q.sent--
	q.load.answered(now.Sub(p.sent), p.depth)
	if answer.err != nil {
		p.end(Outcome{Err: fmt.Errorf("queue: %s: put: %w", q.addr, answer.err)})
		if !errors.Is(answer.err, ErrTooBig) { // the others would be refused, too
			q.waiting.remove(p.of)
			p.of.endRest(p.outcome.Err)
			if !q.refusals.rests(now) { // one refusal of many that were in flight
				q.refusals.failed(now, 0, p.outcome.Err)
			}
		}
		return nil
	}
	q.refusals.worked()
	p.end(Outcome{Receipt: Receipt{Addr: q.addr, Server: c.server, ID: answer.id}})
	return nil
}

// lost implements putHost.
func (q *putQueue) lost(c *putConn, err error) {
	now := time.Now()
	q.mu.Lock()
	defer q.mu.Unlock()
	if c.cause == nil {
		c.cause = err
	}
	q.conns = slices.DeleteFunc(q.conns, func(other *putConn) bool { return other == c })
	if q.sent -= c.inFlight.len(); !c.suspect {
		q.inFlight -= c.inFlight.len()
	}
	if len(q.conns) == 0 && errors.Is(c.cause, os.ErrDeadlineExceeded) {
		q.breaker.failed(now, q.cfg.Timeout, fmt.Errorf("queue: %s: put: %w", q.addr, c.cause))
	}
	lost := Outcome{Err: &lostError{q.addr, c.cause}}
	if q.closed {
		lost.Err = errors.Join(ErrClosed, lost.Err)
	}
	for c.inFlight.len() > 0 {
		c.take().end(lost)
	}
	q.proceed(now)
}

// connect dials if a connection is missing, or if more of them would carry more.
func (q *putQueue) connect(now time.Time) {
	busy, usable := q.inFlight+q.waiting.puts, 0
	for _, c := range q.conns {
		if c.usable() {
			usable++
		}
	}
	missing := 0
	switch {
	case q.closed, q.waiting.first == nil && (usable == 0 || !q.load.far()):
	case usable == 0 || q.breaker.open():
		missing = 1 - q.dialing
	case q.load.far():
		missing = busy - usable - q.dialing
	case q.cramped:
		missing = 1 - q.dialing
	}
	if usable > 0 && now.Before(q.enough) {
		return
	}
	for range min(missing, q.cfg.Conns-len(q.conns)-q.dialing) {
		q.dial(now)
	}
}

// dial connects in the background.
func (q *putQueue) dial(now time.Time) {
	q.dialing++
	q.dialed = now
	q.watch()
	q.tasks.Go(func() {
		var c *putConn
		var trip time.Duration
		err := panics.Call(func() (err error) {
			c, trip, err = dialPuts(q.ended, q.cfg, q.addr)
			return err
		})
		q.mu.Lock()
		defer q.mu.Unlock()
		q.dialing--
		switch {
		case q.closed && err == nil:
			c.fail(ErrClosed)
		case err == nil:
			q.adopt(c, trip)
		default:
			q.missed(now, err)
		}
	})
}

// adopt starts to use a connection.
func (q *putQueue) adopt(c *putConn, trip time.Duration) {
	if len(q.conns) == 0 {
		q.load.answered(trip, 1)
	}
	q.breaker.worked()
	q.numbers++
	c.number = q.numbers
	q.conns = append(q.conns, c)
	q.tasks.Go(func() { c.run(q) })
	q.tasks.Go(func() { c.write(q) })
	q.proceed(time.Now())
}

// missed handles the failure of a dial that began at some time.
func (q *putQueue) missed(began time.Time, err error) {
	now := time.Now()
	if len(q.conns) > 0 {
		const pause = time.Second
		q.enough = now.Add(pause)
		return
	}
	q.breaker.failed(now, now.Sub(began), err)
	for r := q.waiting.first; r != nil; r = q.waiting.first {
		q.waiting.remove(r)
		r.endRest(&awayError{err})
	}
}

// watch makes sure that somebody looks at the time.
func (q *putQueue) watch() {
	if q.watched {
		return
	}
	q.watched = true
	if !q.started {
		q.started = true
		q.tasks.Go(q.run)
	}
	select {
	case q.kick <- struct{}{}:
	default:
	}
}
