// Package live sends changes to clients as Server-Sent Events: the documents of one job to
// those who watch it, and the news of the whole pool to followers. [Broker] reads each
// change once for all clients; [Streams] keeps many streams open at little cost.
package live

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/runnerbean/runnerbean/publisher/internal/admission"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// ErrBusy and ErrClosing are answered with status 503.
var (
	ErrBusy    = httpio.Unavailable("too many clients follow jobs at this node now")
	ErrClosing = httpio.Unavailable("the node is shutting down")
)

// pause is the least time between two rounds of the broker. It bounds how often a
// job is read that changes all the time.
const pause = 10 * time.Millisecond

// Config of a Broker. All of it is required.
type Config struct {
	// MaxStreams returns the greatest number of streams and held answers.
	MaxStreams func() int
	// Read returns the present document of a job.
	Read func(ctx context.Context, id string) Document
	// Proxies tell the addresses of clients.
	Proxies *httpio.Proxies
	// Source is where the news is read from.
	Source Source
	Logger *slog.Logger
}

// Broker tells clients what changes: the documents of single jobs to subscriptions,
// and the news of the whole pool to followers. One goroutine reads each change once
// for all clients and never waits for one of them. Each stream has a mailbox of
// bounded size.
type Broker struct {
	streams *Streams
	places  *admission.Limiter
	proxies *httpio.Proxies
	jobs    *jobWatch
	news    *news
	wake    chan struct{} // holds one
	done    chan struct{}

	mu    sync.Mutex
	ended bool
}

// NewBroker returns a Broker. Run makes it work.
func NewBroker(cfg Config) *Broker {
	b := &Broker{
		streams: NewStreams(), places: admission.New(cfg.MaxStreams), proxies: cfg.Proxies,
		wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
	b.jobs = newJobWatch(cfg.Read, cfg.Logger, b.wakeUp)
	b.news = newNews(cfg.Source, cfg.Logger, b.wakeUp)
	return b
}

func (b *Broker) wakeUp() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// Changed takes the ids of jobs that this process has changed. It never blocks.
func (b *Broker) Changed(ids []string) {
	b.jobs.changed(ids)
	b.news.changed(ids)
}

// ChangedOutside says that another process has changed something. It never blocks.
func (b *Broker) ChangedOutside() {
	b.jobs.external.Store(true)
	b.news.changedOutside()
}

// Run tells clients of changes until ctx ends. It returns after all streams have
// ended.
func (b *Broker) Run(ctx context.Context) {
	var streams sync.WaitGroup
	streams.Go(func() { b.streams.Run(ctx) })
	defer streams.Wait()
	defer b.End()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-b.wake:
		case <-timer.C:
		}
		next := earlier(b.jobs.round(ctx, time.Now()), b.news.round(ctx, time.Now()))
		if next.IsZero() {
			timer.Stop()
		} else {
			timer.Reset(time.Until(next))
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// earlier returns the earlier of two times; a zero time is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// End ends all streams and subscriptions. It may be called more than once.
func (b *Broker) End() {
	b.mu.Lock()
	if !b.ended {
		b.ended = true
		close(b.done)
	}
	b.mu.Unlock()
	b.streams.End()
}

// Done is closed when the broker has ended.
func (b *Broker) Done() <-chan struct{} { return b.done }

// Len returns the number of streams and held answers.
func (b *Broker) Len() int { return b.places.Len() }

// Followers returns the number of streams that get the news.
func (b *Broker) Followers() int { return b.news.len() }

// Dropped returns the number of messages that streams did not get because they were
// behind: a newer message took the place, or the stream was cut off.
func (b *Broker) Dropped() int64 { return b.streams.dropped.Load() }

// acquire takes a place for a stream or a held answer; the caller releases it. If
// there is no room, streams of clients that have gone make some, and then those of a
// network with more places. evict ends what holds the place. ErrBusy, ErrClosing.
func (b *Broker) acquire(from netip.Prefix, evict func()) (*admission.Place, error) {
	b.mu.Lock()
	ended := b.ended
	b.mu.Unlock()
	if ended {
		return nil, ErrClosing
	}
	if b.places.Len() >= b.places.Limit() {
		b.streams.Sweep()
	}
	p := &admission.Place{From: from, Evict: evict}
	if !b.places.Take(p) {
		return nil, ErrBusy
	}
	return p, nil
}

// Subscribe watches a job, known or not, for a client of the network from. The caller
// closes the subscription. ErrBusy, ErrClosing.
func (b *Broker) Subscribe(id string, from netip.Prefix) (*Subscription, error) {
	evicted := make(chan struct{})
	place, err := b.acquire(from, func() { close(evicted) })
	if err != nil {
		return nil, err
	}
	s := &Subscription{watch: b.jobs, places: b.places, place: place, id: id, evicted: evicted, mail: make(chan Document, 1)}
	b.jobs.add(s)
	return s, nil
}

var opening = Opening("")

// ServeJob answers a request with the events of the job of s, beginning with first.
// It closes s when the stream ends, which may be after ServeJob has returned.
func (b *Broker) ServeJob(w http.ResponseWriter, r *http.Request, s *Subscription, first *Message) {
	b.streams.Serve(w, r, 0, func(st *Stream) {
		st.Send(opening)
		st.Send(first)
		s.begin(st)
	}, s.Close)
}

// ServeNews answers a request with the news that f asks for, for lifetime at most.
// The stream may go on after ServeNews has returned. ErrBusy, ErrClosing.
func (b *Broker) ServeNews(w http.ResponseWriter, r *http.Request, lifetime time.Duration, f *Follower) error {
	place, err := b.acquire(b.proxies.Network(r), func() {}) // a stream that is evicted early ends when it begins
	if err != nil {
		return err
	}
	b.streams.Serve(w, r, lifetime, func(st *Stream) {
		f.stream = st
		if !b.places.SetEvict(place, st.Close, nil) {
			st.Close()
		}
		st.Send(opening)
		b.news.join(f)
	}, func() {
		b.news.leave(f)
		b.places.Release(place)
	})
	return nil
}
