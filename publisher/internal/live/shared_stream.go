package live

import (
	"net/http"
	"sync"
)

// MaxJobs is how many jobs one stream may follow.
const MaxJobs = 64

// ServeJobs answers a request with the events of several jobs in one stream, which takes
// one place. It sends first and then each job's present document. The stream does not end
// with the jobs, because a person may retry them. ServeJobs may return while the stream
// goes on. ErrBusy, ErrClosing.
func (b *Broker) ServeJobs(w http.ResponseWriter, r *http.Request, ids []string, first []*Message) error {
	place, err := b.acquire(b.proxies.Network(r), func() {}) // a stream that is evicted early ends when it begins
	if err != nil {
		return err
	}
	group := &watchGroup{watch: b.jobs}
	b.streams.Serve(w, r, 0, func(st *Stream) {
		if !b.places.SetEvict(place, st.Close, nil) {
			st.Close()
		}
		st.Send(Together(append([]*Message{opening}, first...)))
		for _, id := range ids {
			group.add(id, st)
		}
	}, func() {
		group.close()
		b.places.Release(place)
	})
	return nil
}

// watchGroup is the subscriptions of one stream.
type watchGroup struct {
	watch *jobWatch

	mu     sync.Mutex
	closed bool
	list   []*Subscription
}

// add follows one more job. The stream may end meanwhile, in another goroutine or
// because of what add sends.
func (g *watchGroup) add(id string, st *Stream) {
	s := &Subscription{watch: g.watch, id: id, mail: make(chan Document, 1), shared: true}
	g.mu.Lock()
	closed := g.closed
	if !closed {
		g.list = append(g.list, s)
	}
	g.mu.Unlock()
	if closed {
		return
	}
	g.watch.add(s)
	s.follow(st)
	g.mu.Lock()
	closed = g.closed
	g.mu.Unlock()
	if closed {
		g.watch.remove(s)
	}
}

func (g *watchGroup) close() {
	g.mu.Lock()
	g.closed = true
	list := g.list
	g.mu.Unlock()
	for _, s := range list {
		g.watch.remove(s)
	}
}
