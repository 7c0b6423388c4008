// Package fastpath answers requests for cached results below net/http. Most of the cost of
// a small answer is parsing the request, a map of its fields and the goroutine that
// watches the connection. A setting of the node turns this package off.
//
// It answers a request that is all of the following:
//
//   - It came in one read, at a point where net/http waits for a new request, and nothing
//     follows it.
//   - It is "GET /ID HTTP/1.1" with an ID of 36 bytes, one Host field, lines that end in
//     CR LF, and printable ASCII only.
//   - It has no field that [Parse] lists as unusual, such as Range, Authorization or a
//     body, and Accept, Accept-Encoding, If-None-Match and User-Agent at most once each.
//   - The result is in memory, the client does not want a page, and If-None-Match is
//     missing or is exactly one of the two current tags.
//
// Every other request goes to net/http, byte for byte as it came and with the deadline
// for its head. Nothing of it has been answered then. Once net/http has read something
// that may not be exactly one head, it alone knows where requests begin, and the
// connection stays with it.
//
// An answer has the bytes that net/http would send: status, fields, body. Only the
// order of the fields and the Date may differ. [Prepared] makes that so by recording
// what the handler of net/http answers.
//
// An answer is written at once, without a goroutine and without a queue, by the goroutine
// of net/http that reads the connection. Each result has at most eight prepared heads,
// and shares its body with the cache. Deadlines are those of the [http.Server].
package fastpath

import (
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// closeTimeout bounds an answer under way on a connection that is closed.
const closeTimeout = 5 * time.Second

// Answer is an answer without its Date field, which is sent after Head. Where Head is nil,
// net/http answers.
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
	conns   map[tracked]struct{}
	closing int           // answers under way on connections to be closed
	none    chan struct{} // closed when there are none, if somebody waits for that
}

// stamp is the rest of a head within one second.
type stamp struct {
	second int64
	text   []byte
}

// tracked is a connection as the server closes it.
type tracked interface {
	io.Closer
	// untouched reports whether net/http has seen no request on it.
	untouched() bool
}

func (s *Server) forget(c tracked) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

// Shutdown is for [http.Server.RegisterOnShutdown]. It closes the idle connections on
// which net/http has seen no request. net/http would wait for those.
func (s *Server) Shutdown() {
	s.ended.Store(true)
	s.mu.Lock()
	var list []tracked
	for c := range s.conns {
		if c.untouched() {
			list = append(list, c)
		}
	}
	s.mu.Unlock()
	for _, c := range list {
		c.Close()
	}
}

// await adds n to the number of answers that Wait waits for.
func (s *Server) await(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closing += n
	if s.closing == 0 && s.none != nil {
		close(s.none)
		s.none = nil
	}
}

// Wait returns when the answers under way at the shutdown have ended. It is called once.
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

// answer calls Answer. If that panics, net/http gets the request, and reports the defect
// when the handler meets it.
func (s *Server) answer(r *Request) (a Answer) {
	defer func() {
		if recover() != nil {
			a = Answer{}
		}
	}()
	return s.Answer(r)
}

// maxCopied is the size in bytes of the largest answer that is copied into one buffer.
// Above it, a write of several buffers costs less.
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

// date returns the Date field and the end of the head.
func (s *Server) date(now time.Time) []byte {
	second := now.Unix()
	d := s.stamp.Load()
	if d == nil || d.second != second {
		d = &stamp{second, []byte("Date: " + now.UTC().Format(http.TimeFormat) + "\r\n\r\n")}
		s.stamp.Store(d)
	}
	return d.text
}
