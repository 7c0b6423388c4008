package live

import (
	"sync"

	"github.com/runnerbean/runnerbean/publisher/internal/admission"
)

// Subscription is one client's watch of one job. Close it.
type Subscription struct {
	id     string
	watch  interface{ remove(s *Subscription) }
	places *admission.Limiter
	place  *admission.Place
	// evicted is closed when another client takes the place of a subscription without
	// a stream.
	evicted chan struct{}
	// shared is true if the stream has other jobs, too.
	shared bool

	mu sync.Mutex
	// mail holds the newest document only. It is nil once a stream gets the documents.
	mail   chan Document
	stream *Stream
}

// ID returns the id of the job.
func (s *Subscription) ID() string { return s.id }

// Documents returns the channel of documents; a newer document replaces one that was
// not received. The first one comes without a change.
func (s *Subscription) Documents() <-chan Document { return s.mail }

// Evicted is closed when another client has taken the place.
func (s *Subscription) Evicted() <-chan struct{} { return s.evicted }

// begin lets a stream of its own follow the job. It closes the stream if its place was
// taken while it began.
func (s *Subscription) begin(st *Stream) {
	if !s.places.SetEvict(s.place, st.Close, nil) {
		st.Close()
	}
	s.follow(st)
}

// follow sends the documents to a stream from now on.
func (s *Subscription) follow(st *Stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stream = st
	select {
	case d := <-s.mail:
		s.send(d)
	default:
	}
	s.mail, s.evicted = nil, nil
}

// deliver gives the client a document. It never blocks.
func (s *Subscription) deliver(d Document) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stream != nil {
		s.send(d)
		return
	}
	select {
	case <-s.mail: // replaced
	default:
	}
	s.mail <- d // nobody else sends
}

func (s *Subscription) send(d Document) {
	m := d.Message()
	if s.shared {
		m = d.SharedMessage()
	}
	if m != nil {
		s.stream.Send(m)
	}
}

// Close ends the watch and gives the place back.
func (s *Subscription) Close() {
	s.watch.remove(s)
	s.places.Release(s.place)
}
