package publisher

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/runnerbean/runnerbean/internal/access"
	"github.com/runnerbean/runnerbean/publisher/internal/admission"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

const (
	// maxRefusing bounds how many clients are told at a time that there is no
	// room for them; others are cut off without a word.
	maxRefusing   = 16
	refuseTimeout = time.Second
	// fullEvery bounds how often the log says that there is no more room.
	fullEvery = time.Minute
)

// admitter decides which connections a server takes.
type admitter struct {
	limiter *admission.Limiter
	log     *slog.Logger
	mute    bool // under TLS nothing can be said before the handshake

	refusing sync.WaitGroup
	places   chan struct{}
	told     time.Time // only Accept reads and writes it
}

func (p *Publisher) newAdmission(mute bool) *admitter {
	return &admitter{limiter: p.conns, log: p.log, mute: mute, places: make(chan struct{}, maxRefusing)}
}

// admit finds a place for a connection, or refuses it.
func (a *admitter) admit(c *oneWriteConn) bool {
	host, _, _ := net.SplitHostPort(c.RemoteAddr().String())
	c.place = &admission.Place{From: access.NetworkOf(host), Evict: func() { c.Close() }, Idle: c.idle}
	c.limiter = a.limiter
	c.since.Store(time.Now().UnixNano())
	full := a.limiter.Len() >= a.limiter.Limit()
	ok := a.limiter.Take(c.place)
	if full && time.Since(a.told) > fullEvery {
		a.told = time.Now()
		a.log.Warn("HTTP has as many connections as it may; idle ones of the address with most are closed for new ones",
			"connections", a.limiter.Limit(), "idle", a.limiter.Idle(), "from", host, "taken", ok)
	}
	if !ok {
		a.refuse(c)
	}
	return ok
}

// refused is the answer to who finds no room.
var refused = func() []byte {
	const body = `{"title":"Service Unavailable","status":503,"detail":"this node has as many connections as it may"}`
	return fmt.Appendf(nil, "HTTP/1.1 503 Service Unavailable\r\nContent-Type: %s\r\nContent-Length: %d\r\nRetry-After: 5\r\n"+
		"Cache-Control: %s\r\nAccess-Control-Allow-Origin: *\r\nConnection: close\r\n\r\n%s", httpio.TypeProblem, len(body), httpio.NoStore, body)
}()

// refuse says so, if that is possible without waiting. What the client sends is
// read for a moment, for else its system may drop the answer.
func (a *admitter) refuse(c *oneWriteConn) {
	if a.mute {
		c.TCPConn.Close()
		return
	}
	select {
	case a.places <- struct{}{}:
	default:
		c.TCPConn.Close()
		return
	}
	a.refusing.Go(func() {
		defer func() { <-a.places }()
		defer c.TCPConn.Close()
		_ = c.SetDeadline(time.Now().Add(refuseTimeout))
		if _, err := c.TCPConn.Write(refused); err != nil {
			return
		}
		_ = c.CloseWrite()
		_, _ = io.CopyN(io.Discard, c.TCPConn, headerBytes)
	})
}

// idle reports whether nobody answers on the connection: it waits for a request,
// or for the rest of a head.
func (c *oneWriteConn) idle() (since int64, ok bool) {
	since = c.since.Load()
	if c.fast != nil {
		since = max(since, c.fast.Answered())
	}
	return since, c.handlers.Load() == 0 && (c.fast == nil || c.fast.Resting())
}

// serving marks the connection of a request as one that is answered on.
func serving(r *http.Request) (done func()) {
	c := connOf(r.Context())
	if c == nil {
		return func() {}
	}
	c.handlers.Add(1)
	return func() { c.handlers.Add(-1) }
}

// connOf is the connection of a request, under TLS as well; nil without one.
func connOf(ctx context.Context) *oneWriteConn {
	c, _ := ctx.Value(httpio.ConnKey{}).(*oneWriteConn)
	return c
}

// bareConn is a connection that somebody keeps without answers to send.
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
