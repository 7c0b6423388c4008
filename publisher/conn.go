package publisher

import (
	"bytes"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/runnerbean/runnerbean/publisher/internal/admission"
	"github.com/runnerbean/runnerbean/publisher/internal/fast"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// headBuffer is the size of the buffer in which net/http collects the head of
// an answer and the beginning of its body.
const headBuffer = 4 << 10

// oneWriteListener hands out connections that can send an answer in one piece,
// as many as there are places.
type oneWriteListener struct {
	net.Listener
	admitter *admitter
	fast     *fast.Server // nil: net/http answers for everything
}

func (l oneWriteListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		tcp, ok := c.(*net.TCPConn)
		if !ok {
			return c, err
		}
		one := &oneWriteConn{TCPConn: tcp}
		if l.fast != nil {
			one.fast = l.fast.Wrap(tcp)
		}
		if l.admitter.admit(one) {
			return one, err
		}
		if one.fast != nil {
			one.fast.Forget()
		}
	}
}

// oneWriteConn sends the head of an answer together with its body. net/http
// would write its buffer, with the head, and then the rest: a second system
// call and a second packet to wake the client for, which is much of the cost of
// an answer from memory. Only the goroutine that answers writes.
type oneWriteConn struct {
	*net.TCPConn
	expect int     // bytes of the body that follows a head; 0: write at once
	held   *[]byte // a head and the beginning of a body
	fast   *fast.Conn

	limiter  *admission.Limiter
	place    *admission.Place
	since    atomic.Int64 // Unix time in nanoseconds of the latest change of state
	handlers atomic.Int32 // that are answering
}

func (c *oneWriteConn) Read(b []byte) (int, error) {
	if c.fast != nil {
		return c.fast.Read(b)
	}
	return c.TCPConn.Read(b)
}

// Close of the same connection by two is nothing unusual.
func (c *oneWriteConn) Close() error {
	c.limiter.Release(c.place)
	if c.fast != nil {
		return c.fast.Close()
	}
	return c.TCPConn.Close()
}

// tellState tells of what net/http does with a connection.
func tellState(c net.Conn, state http.ConnState) {
	one := connBelow(c)
	if one == nil {
		return
	}
	one.since.Store(time.Now().UnixNano())
	if state == http.StateHijacked { // its streams have places of their own
		one.limiter.SetEvict(one.place, nil, nil)
	}
	if one.fast != nil {
		one.fast.State(state)
	}
}

// connBelow is the connection below TLS, or nil where it is of another kind.
func connBelow(c net.Conn) *oneWriteConn {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	one, _ := c.(*oneWriteConn)
	return one
}

var heldBuffers = sync.Pool{New: func() any { b := make([]byte, 0, headBuffer); return &b }}

// Bare is the connection itself, for who keeps it without answers to send.
func (c *oneWriteConn) Bare() net.Conn {
	return &bareConn{TCPConn: c.TCPConn, limiter: c.limiter, place: c.place}
}

// withConn lets a handler find its connection.
func withConn(ctx context.Context, c net.Conn) context.Context {
	if one := connBelow(c); one != nil {
		return context.WithValue(ctx, httpio.ConnKey{}, one)
	}
	return ctx
}

// Expect announces that the next body is size bytes long and written in one call.
func (c *oneWriteConn) Expect(size int) { c.expect = size }

func (c *oneWriteConn) Write(b []byte) (int, error) {
	if c.held != nil {
		return c.writeHeld(b)
	}
	expect := c.expect
	c.expect = 0
	if expect == 0 || len(b) > headBuffer || !moreFollows(b, expect) {
		return c.TCPConn.Write(b)
	}
	c.held = heldBuffers.Get().(*[]byte)
	*c.held = append((*c.held)[:0], b...)
	return len(b), nil
}

// moreFollows reports whether b is a head and not yet the whole of a body of
// size bytes.
func moreFollows(b []byte, size int) bool {
	_, body, ok := bytes.Cut(b, []byte("\r\n\r\n"))
	return ok && len(body) < size
}

// writeHeld writes what is held and b.
func (c *oneWriteConn) writeHeld(b []byte) (int, error) {
	held := len(*c.held)
	parts := net.Buffers{*c.held, b}
	n, err := parts.WriteTo(c.TCPConn)
	heldBuffers.Put(c.held)
	c.held = nil
	return max(0, int(n)-held), err
}
