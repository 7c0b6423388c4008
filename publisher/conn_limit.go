package publisher

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/runnerbean/runnerbean/internal/access"
	"github.com/runnerbean/runnerbean/publisher/internal/admission"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

const (
	// headerBytes bounds the head of a request.
	headerBytes = 32 << 10
	// maxRefusing bounds how many clients get the answer that there is no room at one
	// time. Connections of others are closed at once.
	maxRefusing   = 16
	refuseTimeout = time.Second
	// fullEvery is the shortest time between two log lines that there is no room.
	fullEvery = time.Minute
)

// admitter decides which connections a server accepts.
type admitter struct {
	limiter *admission.Limiter
	log     *slog.Logger
	tls     bool // an answer needs a handshake first

	refusing sync.WaitGroup
	places   chan struct{} // holds one for each refusal under way
	logged   time.Time     // only Accept reads and writes it
}

func newAdmitter(limiter *admission.Limiter, log *slog.Logger, tls bool) *admitter {
	return &admitter{limiter: limiter, log: log, tls: tls, places: make(chan struct{}, maxRefusing)}
}

// admit takes a place for c, or refuses c and returns false.
func (a *admitter) admit(c *oneWriteConn) bool {
	host, _, _ := net.SplitHostPort(c.RemoteAddr().String())
	c.place = &admission.Place{From: access.NetworkOf(host), Evict: func() { c.Close() }, Idle: c.idle}
	c.limiter = a.limiter
	c.since.Store(time.Now().UnixNano())
	full := a.limiter.Len() >= a.limiter.Limit()
	ok := a.limiter.Take(c.place)
	if full && time.Since(a.logged) > fullEvery {
		a.logged = time.Now()
		a.log.Warn("HTTP has as many connections as it may; idle ones of the address with most are closed for new ones",
			"connections", a.limiter.Limit(), "idle", a.limiter.Idle(), "from", host, "taken", ok)
	}
	if !ok {
		a.refuse(c)
	}
	return ok
}

// refused is the answer on a connection that has no place.
var refused = func() []byte {
	const body = `{"title":"Service Unavailable","status":503,"detail":"this node has as many connections as it may"}`
	return fmt.Appendf(nil, "HTTP/1.1 503 Service Unavailable\r\nContent-Type: %s\r\nContent-Length: %d\r\nRetry-After: 5\r\n"+
		"Cache-Control: %s\r\nAccess-Control-Allow-Origin: *\r\nConnection: close\r\n\r\n%s", httpio.TypeProblem, len(body), httpio.NoStore, body)
}()

// refuse sends the answer refused and closes the connection, without waiting for that.
// It reads what the client sends for a moment, since otherwise the client's system may
// drop the answer.
func (a *admitter) refuse(c *oneWriteConn) {
	if a.tls {
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
