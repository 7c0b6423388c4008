// Package fast answers for what is in memory before net/http has read the
// request: of a small answer, most of the cost is parsing, a map of fields and
// the goroutine that watches the connection. It understands one form of one
// request and passes on everything else as it came.
package fast

import (
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// closeTimeout is how long an answer that is under way may take when the
// connection is closed.
const closeTimeout = 5 * time.Second

// Answer is ready to be sent but for its Date field, which goes behind Head. A
// nil Head: it is for net/http to answer.
type Answer struct {
	Head []byte // whole lines, without the empty one
	Body []byte
}

// Server wraps the connections of an [http.Server]. All fields are required.
type Server struct {
	// Answer is asked for each request. It must return at once and not keep r.
	Answer func(r *Request) Answer
	// What the [http.Server] has.
	HeaderTimeout, IdleTimeout, WriteTimeout time.Duration
	// Served counts the requests that were answered.
	Served *atomic.Int64

	stamp atomic.Pointer[stamp]
	ended atomic.Bool

	mu      sync.Mutex
	conns   map[*Conn]struct{}
	closing int           // answers under way on connections to be closed
	none    chan struct{} // closed when there are none, if somebody waits for that
}

// stamp is the rest of a head within one second.
type stamp struct {
	second int64
	text   []byte
}

// Wrap takes a connection that was just accepted.
func (s *Server) Wrap(c *net.TCPConn) *Conn {
	conn := &Conn{TCPConn: c, server: s}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns == nil {
		s.conns = map[*Conn]struct{}{}
	}
	s.conns[conn] = struct{}{}
	return conn
}

func (s *Server) forget(c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

// Shutdown is for [http.Server.RegisterOnShutdown]. It closes the connections
// that net/http would wait for, since it does not know that they rest.
func (s *Server) Shutdown() {
	s.ended.Store(true)
	s.mu.Lock()
	var list []*Conn
	for c := range s.conns {
		if c.unknown.Load() {
			list = append(list, c)
		}
	}
	s.mu.Unlock()
	for _, c := range list {
		c.Close()
	}
}

// await counts the answers that Wait waits for.
func (s *Server) await(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closing += n
	if s.closing == 0 && s.none != nil {
		close(s.none)
		s.none = nil
	}
}

// Wait waits, once, for the answers that were under way at the shutdown.
func (s *Server) Wait() {
	s.mu.Lock()
	if s.closing == 0 {
		s.mu.Unlock()
		return
	}
	none := make(chan struct{})
	s.none = none
	s.mu.Unlock()
	<-none
}

// answers reports whether requests are still answered here.
func (s *Server) answers() bool { return !s.ended.Load() }

// answer is Answer. Where that panics net/http gets the request, and the handler
// finds the same defect where it is told of.
func (s *Server) answer(r *Request) (a Answer) {
	defer func() {
		if recover() != nil {
			a = Answer{}
		}
	}()
	return s.Answer(r)
}

// maxCopied is the size in bytes up to which copying an answer into one piece
// costs less than sending it in pieces.
const maxCopied = 16 << 10

var pieces = sync.Pool{New: func() any { b := make([]byte, 0, maxCopied); return &b }}

func (s *Server) write(c *net.TCPConn, a Answer, now time.Time) error {
	date := s.date(now)
	if len(a.Head)+len(date)+len(a.Body) > maxCopied {
		list := net.Buffers{a.Head, date, a.Body}
		_, err := list.WriteTo(c)
		return err
	}
	b := pieces.Get().(*[]byte)
	defer pieces.Put(b)
	*b = append(append(append((*b)[:0], a.Head...), date...), a.Body...)
	_, err := c.Write(*b)
	return err
}

// date is the Date field and the end of the head.
func (s *Server) date(now time.Time) []byte {
	second := now.Unix()
	d := s.stamp.Load()
	if d == nil || d.second != second {
		d = &stamp{second, []byte("Date: " + now.UTC().Format(http.TimeFormat) + "\r\n\r\n")}
		s.stamp.Store(d)
	}
	return d.text
}
