package live

import (
	"context"
	"net"
	"net/http"
	"slices"
	"sync"
	"syscall"
	"time"
)

const (
	// Idle is the longest silence of a stream.
	Idle = 15 * time.Second
	// WriteTimeout bounds how long a client may take to accept one message.
	WriteTimeout = 10 * time.Second
	// maxWaiting bounds the mailbox of a stream: the messages that wait for a client that
	// is behind. A client that falls back further is cut off; it may reconnect.
	maxWaiting = 256
)

// owner is the set that a stream belongs to.
type owner interface {
	remove(s *Stream)
	// spawn runs f in a goroutine unless the set has ended.
	spawn(f func()) bool
	// drop counts messages that a stream did not get.
	drop(n int)
}

// Stream is the event stream of one client.
type Stream struct {
	set     owner
	gone    func()
	expires int64 // Unix time; 0: never
	bucket  int

	conn net.Conn        // taken from net/http; nil if net/http keeps it
	raw  syscall.RawConn // nil if conn has none
	wake chan struct{}   // holds one; only if net/http keeps the connection

	mu      sync.Mutex
	waiting []*Message
	busy    bool // a goroutine writes, or will
	ending  bool // the last message has been accepted
	closed  bool
}

// Send sends m, or puts it into the mailbox. It never blocks.
func (s *Stream) Send(m *Message) {
	if s.send(m) {
		s.Close()
	}
}

// send reports whether the stream is at its end.
func (s *Stream) send(m *Message) (end bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.ending {
		return false
	}
	s.ending = m.last
	switch {
	case s.busy:
		return !s.put(m)
	case s.conn == nil:
		s.busy = true
		s.wake <- struct{}{}
		return !s.put(m)
	}
	n, err := writeNow(s.raw, m.chunk)
	switch {
	case err != nil:
		return true
	case n < len(m.chunk):
		return !s.continued(m.chunk[n:])
	}
	return m.last
}

// put adds m to the mailbox. It returns false if the mailbox is full.
func (s *Stream) put(m *Message) bool {
	if before := len(s.waiting); m.key != "" {
		s.waiting = slices.DeleteFunc(s.waiting, func(old *Message) bool { return old.key == m.key })
		s.set.drop(before - len(s.waiting))
	}
	s.waiting = append(s.waiting, m)
	return len(s.waiting) <= maxWaiting
}

// continued writes in a new goroutine what the socket did not take, and then the
// mailbox. It returns false if the set has ended.
func (s *Stream) continued(rest []byte) bool {
	s.busy = s.set.spawn(func() {
		if s.drain(rest) {
			s.Close()
		}
	})
	return s.busy
}

// drain writes rest and the mailbox. It reports whether the stream is at its end.
func (s *Stream) drain(rest []byte) (end bool) {
	for {
		_ = s.conn.SetWriteDeadline(time.Now().Add(WriteTimeout))
		if _, err := s.conn.Write(rest); err != nil {
			return true
		}
		m, end := s.next()
		if m == nil {
			return end
		}
		rest = m.chunk
	}
}

// next takes the oldest message of the mailbox. If there is none, the goroutine that
// writes must end.
func (s *Stream) next() (m *Message, end bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiting) > 0 {
		m = s.waiting[0]
		s.waiting = s.waiting[1:]
		return m, false
	}
	s.waiting, s.busy = nil, false
	if s.conn != nil {
		_ = s.conn.SetWriteDeadline(time.Time{}) // an old deadline would fail direct writes
	}
	return nil, s.ending
}

// Close ends the stream at once. It may be called more than once.
func (s *Stream) Close() { s.close(false) }

// close ends the stream. If politely, it writes the end of the body, unless that would
// block.
func (s *Stream) close(politely bool) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	s.set.drop(len(s.waiting))
	s.closed, s.waiting = true, nil
	if politely && s.conn != nil && !s.busy {
		_, _ = writeNow(s.raw, []byte(endOfBody))
	}
	s.mu.Unlock()
	if s.conn != nil {
		s.conn.Close()
	} else {
		close(s.wake)
	}
	s.set.remove(s)
	s.gone()
}

// visit closes the stream if the client has gone or the lifetime is over. If speak, it
// sends a comment, so that proxies and the client see a live connection.
func (s *Stream) visit(now int64, scratch []byte, speak bool) {
	switch {
	case hasGone(s.raw, scratch):
		s.Close()
	case s.expires != 0 && now > s.expires:
		s.close(true)
	case speak:
		s.Send(comment)
	}
}

// serve writes the messages of a stream whose connection net/http has kept.
func (s *Stream) serve(ctx context.Context, w http.ResponseWriter) {
	defer s.Close()
	lifetime, idle := s.lifetime(), time.NewTicker(Idle)
	defer idle.Stop()
	rc := http.NewResponseController(w)
	for {
		select {
		case _, open := <-s.wake:
			if !open || s.flush(w, rc) {
				return
			}
		case <-idle.C:
			s.Send(comment)
		case <-lifetime:
			return
		case <-ctx.Done():
			return
		}
	}
}

func (s *Stream) lifetime() <-chan time.Time {
	if s.expires == 0 {
		return nil
	}
	return time.After(time.Until(time.Unix(s.expires, 0)))
}

// flush writes the mailbox. It reports whether the stream is at its end.
func (s *Stream) flush(w http.ResponseWriter, rc *http.ResponseController) (end bool) {
	for {
		m, end := s.next()
		if m == nil {
			return end
		}
		_ = rc.SetWriteDeadline(time.Now().Add(WriteTimeout)) // some writers have no deadlines
		if _, err := w.Write(m.text); err != nil {
			return true
		}
		if rc.Flush() != nil {
			return true
		}
	}
}
