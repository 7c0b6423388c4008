package fastpath

import (
	"bytes"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// Conn is a connection that net/http serves. Its Read answers requests itself and returns
// the others. The goroutine of net/http that serves the connection calls Read. While a
// handler runs, another goroutine reads one byte, and Read passes that on.
type Conn struct {
	*net.TCPConn
	server *Server

	// fresh: the next byte begins a request.
	fresh bool
	// whole: net/http has got exactly one head since the connection was fresh. ahead: and
	// the first byte of the next head.
	whole, ahead bool
	// spoiled: only net/http knows where requests begin, from now on.
	spoiled bool

	readUntil, writeUntil time.Time // the deadlines that were set since the connection was fresh

	// unknown: net/http takes this for a connection without a first request.
	unknown atomic.Bool
	phase   atomic.Int32
	// answered is the Unix time in nanoseconds of the latest answer.
	answered atomic.Int64
}

// The phases of a connection. A connection that is closed during an answer is closed by
// the goroutine that answers.
const (
	resting int32 = iota
	answering
	closing
	closed
)

// Wrap returns the connection that net/http is to serve instead of c, which was just
// accepted.
func (s *Server) Wrap(c *net.TCPConn) *Conn {
	conn := &Conn{TCPConn: c, server: s}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns == nil {
		s.conns = map[tracked]struct{}{}
	}
	s.conns[conn] = struct{}{}
	return conn
}

func (c *Conn) untouched() bool { return c.unknown.Load() }

// Resting reports whether no answer of the fast path is under way.
func (c *Conn) Resting() bool { return c.phase.Load() == resting }

// Answered returns the Unix time in nanoseconds of the latest answer, or 0.
func (c *Conn) Answered() int64 { return c.answered.Load() }

// Forget releases a connection that net/http is not going to serve.
func (c *Conn) Forget() { c.server.forget(c) }

// State is for [http.Server.ConnState].
func (c *Conn) State(s http.ConnState) {
	switch s {
	case http.StateNew:
		c.fresh = true
	case http.StateActive:
		c.unknown.Store(false)
	case http.StateIdle:
		c.fresh = c.whole && !c.ahead && !c.spoiled
	case http.StateHijacked:
		c.server.forget(c)
	}
	c.whole, c.readUntil, c.writeUntil = c.whole && s == http.StateActive, time.Time{}, time.Time{}
}

// Read answers the requests that it can, and returns the bytes of others.
func (c *Conn) Read(b []byte) (int, error) {
	var r Request
	for {
		n, err := c.TCPConn.Read(b)
		if !c.fresh || err != nil || n == 0 {
			c.pass(b[:n], len(b) == 1)
			return n, err
		}
		if !Parse(b[:n], &r) || !c.server.answers() {
			return n, c.hand(b[:n])
		}
		a := c.server.answer(&r)
		if a.Head == nil {
			return n, c.hand(b[:n])
		}
		if err := c.send(a); err != nil {
			return 0, err
		}
	}
}

// hand passes the beginning of a request to net/http.
func (c *Conn) hand(b []byte) error {
	c.fresh = false
	c.unknown.Store(false)
	c.pass(b, false)
	if c.readUntil.IsZero() {
		return nil
	}
	return c.SetReadDeadline(time.Now().Add(c.server.HeaderTimeout))
}

// behindHead returns where net/http sees the end of the first head in b, or -1. net/http
// also accepts a bare line feed as the end of a line.
func behindHead(b []byte) int {
	for at := 0; ; {
		n := bytes.IndexByte(b[at:], '\n')
		if n < 0 {
			return -1
		}
		at += n + 1
		switch rest := b[at:]; {
		case bytes.HasPrefix(rest, []byte("\n")):
			return at + 1
		case bytes.HasPrefix(rest, []byte("\r\n")):
			return at + 2
		}
	}
}

// pass records whether the bytes that net/http gets are one whole head. waiting says
// that net/http reads one byte, as it does while a handler runs. That may be the first
// byte of the next request.
func (c *Conn) pass(b []byte, waiting bool) {
	switch {
	case len(b) == 0 || c.spoiled:
	case waiting && c.whole && !c.ahead:
		c.ahead = true
	default:
		c.spoiled = c.whole || behindHead(b) != len(b)
		c.whole, c.ahead = !c.spoiled, false
	}
}

// send writes an answer in one piece.
func (c *Conn) send(a Answer) error {
	now := time.Now()
	if err := c.extend(now); err != nil {
		return err
	}
	if !c.phase.CompareAndSwap(resting, answering) {
		return net.ErrClosed
	}
	c.server.Served.Add(1)
	c.answered.Store(now.UnixNano())
	err := c.server.write(c.TCPConn, a, now)
	if !c.phase.CompareAndSwap(answering, resting) {
		c.TCPConn.Close()
		c.server.await(-1)
		return net.ErrClosed
	}
	return err
}

// extend sets the deadlines of the answer and of the next request. It moves them about
// once a second, since moving them costs as much as a small answer.
func (c *Conn) extend(now time.Time) error {
	if c.writeUntil.Sub(now) < c.server.WriteTimeout/2 {
		c.writeUntil = now.Add(c.server.WriteTimeout)
		if err := c.SetWriteDeadline(c.writeUntil); err != nil {
			return err
		}
	}
	if c.readUntil.Sub(now) > c.server.IdleTimeout-time.Second {
		return nil
	}
	c.unknown.Store(true)
	c.readUntil = now.Add(c.server.IdleTimeout)
	return c.SetReadDeadline(c.readUntil)
}

// Close closes the connection, or has the goroutine that answers close it.
func (c *Conn) Close() error {
	c.server.forget(c)
	if c.phase.CompareAndSwap(resting, closed) {
		return c.TCPConn.Close()
	}
	c.server.await(1)
	if c.phase.CompareAndSwap(answering, closing) {
		return c.SetWriteDeadline(time.Now().Add(closeTimeout))
	}
	c.server.await(-1)
	if c.phase.CompareAndSwap(resting, closed) { // it has just finished
		return c.TCPConn.Close()
	}
	return nil
}
