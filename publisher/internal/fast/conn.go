package fast

import (
	"bytes"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// Conn is a connection that net/http serves, with what is answered before it
// gets to know of a request. Only the goroutine that serves it reads, but for
// one byte at a time while a handler runs, when Conn passes everything on.
type Conn struct {
	*net.TCPConn
	server *Server

	// fresh: whatever comes next is the beginning of a request.
	fresh bool
	// whole: what was passed on since is one head and nothing else, but where it
	// is ahead for the first byte of the next one.
	whole, ahead bool
	// spoiled: where requests begin is known to net/http alone, for good.
	spoiled bool

	readUntil, writeUntil time.Time // what was set in this fresh time

	// unknown: net/http takes this for a connection that has yet to ask.
	unknown atomic.Bool
	phase   atomic.Int32
	// answered is the Unix time in nanoseconds of the latest answer.
	answered atomic.Int64
}

// The phases of a connection. One that is to be closed while it is answering
// is closed by who answers.
const (
	resting int32 = iota
	answering
	closing
	closed
)

// Resting reports whether no answer is under way here.
func (c *Conn) Resting() bool { return c.phase.Load() == resting }

// Answered is the Unix time in nanoseconds of the latest answer; 0: there was none.
func (c *Conn) Answered() int64 { return c.answered.Load() }

// Forget lets go of a connection that nobody is going to serve.
func (c *Conn) Forget() { c.server.forget(c) }

// State is to be told what net/http does with the connection; it is for
// [http.Server.ConnState].
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

// Read returns what net/http is to see.
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

// hand passes on the beginning of a request.
func (c *Conn) hand(b []byte) error {
	c.fresh = false
	c.unknown.Store(false)
	c.pass(b, false)
	if c.readUntil.IsZero() {
		return nil
	}
	return c.SetReadDeadline(time.Now().Add(c.server.HeaderTimeout))
}

// behindHead is where net/http sees the end of the first head in b, or -1. It
// takes a bare line feed for the end of a line, too.
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

// pass notes whether what net/http gets is a whole head. While a handler runs,
// net/http waits for one byte, which may be the first of the next request.
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

// extend gives the answer its time, and the next request. Deadlines are moved
// about once a second, for moving them costs as much as a small answer.
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

// Close closes the connection, or lets who is answering do it.
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
