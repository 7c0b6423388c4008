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
	"github.com/runnerbean/runnerbean/publisher/internal/fastpath"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// headBuffer is the size of the buffer in which net/http collects the head of
// an answer and the beginning of its body.
const headBuffer = 4 << 10

// oneWriteConn sends the head of an answer together with its body. net/http writes its
// buffer with the head and then the rest. The second system call and the second packet
// are much of the cost of an answer from memory. Only the goroutine that answers writes.
type oneWriteConn struct {
	*net.TCPConn
	expect int     // bytes of the body that follows a head; 0: write at once
	held   *[]byte // a head and the beginning of a body
	fast   *fastpath.Conn

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

// Close may be called more than once.
func (c *oneWriteConn) Close() error {
	c.limiter.Release(c.place)
	if c.fast != nil {
		return c.fast.Close()
	}
	return c.TCPConn.Close()
}

// onConnState is the [http.Server.ConnState] of a server.
func onConnState(c net.Conn, state http.ConnState) {
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

// connBelow returns the connection below TLS, or nil if it has another type.
func connBelow(c net.Conn) *oneWriteConn {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	one, _ := c.(*oneWriteConn)
	return one
}

var heldBuffers = sync.Pool{New: func() any { b := make([]byte, 0, headBuffer); return &b }}

// Bare returns the connection for a caller that has taken it over from net/http.
func (c *oneWriteConn) Bare() net.Conn {
	return &bareConn{TCPConn: c.TCPConn, limiter: c.limiter, place: c.place}
}

// withConn is the [http.Server.ConnContext] of a server. A handler finds its connection
// in the context.
func withConn(ctx context.Context, c net.Conn) context.Context {
	if one := connBelow(c); one != nil {
		return context.WithValue(ctx, httpio.ConnKey{}, one)
	}
	return ctx
}

// Expect announces that the next body has size bytes and is written in one call.
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

// moreFollows reports whether b has a head and only a part of a body of size bytes.
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

// idle reports whether no answer is under way: the connection waits for a request or the
// rest of a head. since is the time of its latest change, Unix time in nanoseconds.
func (c *oneWriteConn) idle() (since int64, ok bool) {
	since = c.since.Load()
	if c.fast != nil {
		since = max(since, c.fast.Answered())
	}
	return since, c.handlers.Load() == 0 && (c.fast == nil || c.fast.Resting())
}

// serving marks the connection of a request as busy until the caller calls done.
func serving(r *http.Request) (done func()) {
	c := connOf(r.Context())
	if c == nil {
		return func() {}
	}
	c.handlers.Add(1)
	return func() { c.handlers.Add(-1) }
}

// connOf returns the connection of a request, also under TLS, or nil.
func connOf(ctx context.Context) *oneWriteConn {
	c, _ := ctx.Value(httpio.ConnKey{}).(*oneWriteConn)
	return c
}

// bareConn is a connection without the fast path and the writes in one piece.
type bareConn struct {
	*net.TCPConn
	limiter *admission.Limiter
	place   *admission.Place
}

// Close closes the connection and gives its place back.
func (c *bareConn) Close() error {
	c.limiter.Release(c.place)
	return c.TCPConn.Close()
}
