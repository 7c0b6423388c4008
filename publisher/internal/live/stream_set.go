package live

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// ContentType of every stream.
const ContentType = "text/event-stream; charset=utf-8"

const (
	// Streams are visited in turn, a bucket at a time: every 5 s to see whether the client
	// is there, and every 15 s to send a comment.
	buckets    = 15
	visitEvery = Idle / 3 / buckets
	// sweepPause is the least time between two calls of Sweep that visit all streams.
	sweepPause = time.Second
)

// Streams holds the open streams of a server. A stream of HTTP/1.1 is taken from
// net/http once its head is written, so it costs its socket and no goroutine or buffer.
// Messages are written without waiting. A client that does not take one at once gets a
// goroutine and a deadline for as long as it is behind. Other streams (TLS, HTTP/2) have
// a goroutine each. Run visits the streams.
type Streams struct {
	wake chan struct{} // holds one
	done chan struct{} // closed at the end
	work sync.WaitGroup

	dropped atomic.Int64 // messages that streams did not get because they were behind

	mu      sync.Mutex
	ended   bool
	turn    int // bucket of the next stream
	count   int
	members [buckets]map[*Stream]struct{}
	plain   map[*Stream]struct{}

	sweeping sync.Mutex
	swept    time.Time
}

// NewStreams returns an empty set.
func NewStreams() *Streams {
	s := &Streams{wake: make(chan struct{}, 1), done: make(chan struct{}), plain: map[*Stream]struct{}{}}
	for i := range s.members {
		s.members[i] = map[*Stream]struct{}{}
	}
	return s
}

// WriteHead writes the head of an event stream, as the answer to a HEAD request.
func WriteHead(w http.ResponseWriter) {
	w.Header().Set("Content-Type", ContentType)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
}

// Serve answers a request with the head of an event stream and calls ready, which may
// send the first messages and keep the stream. Serve may return while the stream goes on.
// It calls gone once, after the stream has ended. A lifetime of 0 is unlimited.
func (s *Streams) Serve(w http.ResponseWriter, r *http.Request, lifetime time.Duration, ready func(*Stream), gone func()) {
	st := &Stream{set: s, gone: gone}
	if lifetime > 0 {
		st.expires = time.Now().Add(lifetime).Unix()
	}
	if err := st.begin(w, r); err != nil || !s.add(st) {
		st.abandon()
		return
	}
	ready(st)
	if st.conn == nil {
		st.serve(r.Context(), w)
	}
}

// begin writes the head, and takes the connection if possible.
func (s *Stream) begin(w http.ResponseWriter, r *http.Request) error {
	h, rc := w.Header(), http.NewResponseController(w)
	h.Set("Content-Type", ContentType)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx would hold events back
	_ = rc.SetWriteDeadline(time.Now().Add(WriteTimeout))
	own := r.TLS == nil && r.ProtoMajor == 1 && r.ProtoMinor == 1
	if own {
		h.Set("Connection", "close")
	}
	w.WriteHeader(http.StatusOK)
	if err := rc.Flush(); err != nil {
		return err
	}
	if own {
		s.take(rc)
	}
	if s.conn == nil {
		s.wake = make(chan struct{}, 1)
	}
	return nil
}

// take takes the connection from net/http, if it has one to give.
func (s *Stream) take(rc *http.ResponseController) {
	conn, _, err := rc.Hijack()
	if err != nil {
		return
	}
	s.conn = bare(conn)
	if c, ok := s.conn.(syscall.Conn); ok {
		s.raw, _ = c.SyscallConn()
	}
}

// abandon ends a stream that has not begun.
func (s *Stream) abandon() {
	if s.conn != nil {
		s.conn.Close()
	}
	s.gone()
}

func (s *Streams) add(st *Stream) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return false
	}
	if st.conn == nil {
		s.plain[st] = struct{}{}
		return true
	}
	st.bucket = s.turn
	s.turn = (s.turn + 1) % buckets
	s.members[st.bucket][st] = struct{}{}
	s.count++
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return true
}

func (s *Streams) remove(st *Stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st.conn == nil {
		delete(s.plain, st)
		return
	}
	delete(s.members[st.bucket], st)
	s.count--
}

func (s *Streams) drop(n int) { s.dropped.Add(int64(n)) }

// spawn runs f unless the set has ended.
func (s *Streams) spawn(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		s.work.Go(f)
	}
	return !s.ended
}

// Run visits the streams until ctx ends, and ends them with it.
func (s *Streams) Run(ctx context.Context) {
	defer s.End()
	tick := time.NewTicker(visitEvery)
	defer tick.Stop()
	for n := 0; ; n++ {
		if s.empty() && !s.awaited(ctx) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-s.done:
			return
		case <-tick.C:
			s.visit(n%buckets, n/buckets%3 == 2)
		}
	}
}

func (s *Streams) empty() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count == 0
}

// awaited waits for a stream: without streams there is nothing to visit.
func (s *Streams) awaited(ctx context.Context) bool {
	select {
	case <-s.wake:
		return true
	case <-ctx.Done():
	case <-s.done:
	}
	return false
}

func (s *Streams) visit(bucket int, speak bool) {
	now, scratch := time.Now().Unix(), make([]byte, 512)
	for _, st := range s.list(bucket) {
		st.visit(now, scratch, speak)
	}
}

func (s *Streams) list(bucket int) []*Stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*Stream, 0, len(s.members[bucket]))
	for st := range s.members[bucket] {
		list = append(list, st)
	}
	return list
}

// Sweep ends the streams of clients that have gone, at most once a second. Call it when
// there is no room for one more stream.
func (s *Streams) Sweep() {
	s.sweeping.Lock()
	defer s.sweeping.Unlock()
	if time.Since(s.swept) < sweepPause {
		return
	}
	for i := range buckets {
		s.visit(i, false)
	}
	s.swept = time.Now()
}

// End ends all streams. It returns when their goroutines have ended. Handlers of streams
// that net/http keeps may still be returning.
func (s *Streams) End() {
	s.mu.Lock()
	first := !s.ended
	s.ended = true
	list := make([]*Stream, 0, s.count+len(s.plain))
	for st := range s.plain {
		list = append(list, st)
	}
	for _, m := range s.members {
		for st := range m {
			list = append(list, st)
		}
	}
	s.mu.Unlock()
	if first {
		close(s.done)
	}
	for _, st := range list {
		st.close(true)
	}
	s.work.Wait()
}
