package publisher

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/runnerbean/runnerbean/internal/panics"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/admission"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
	"github.com/runnerbean/runnerbean/publisher/internal/live"
)

var (
	errBusy    = httpio.Unavailable("too many clients follow jobs at this node now")
	errClosing = httpio.Unavailable("the node is shutting down")
)

const (
	// hubPause bounds how often one job is read, however often it changes.
	hubPause = 10 * time.Millisecond
	// hubTick is how often watched jobs are read of which nobody has said that
	// they have changed, if there is a reason to; every tenth time without one.
	// hubBudget is how much of that time reading may take.
	hubTick   = time.Second
	hubAnyway = 10
	hubBudget = hubTick / 10
)

// hub tells subscribers when a job's document has changed. One goroutine reads
// each changed job once for all of them and never waits for any.
type hub struct {
	read func(ctx context.Context, id string) *document
	// places are those of streams and held answers.
	places *admission.Limiter
	wake   chan struct{} // holds one
	done   chan struct{} // closed at the end
	// streams are those of the subscriptions and all others of the node.
	streams *live.Streams
	// others: another process has written. moved: this one has, which may have
	// moved queued jobs along.
	others, moved atomic.Bool

	mu     sync.Mutex
	ended  bool
	topics map[string]*topic
	dirty  map[string]bool // of topics

	rest  []string // topics that the sweep has not come to yet; run's own
	ticks int      // run's own
}

// topic is one watched job.
type topic struct {
	latest *document // nil before the first read
	subs   map[*subscription]struct{}
}

// subscription is one watcher of one job; close it.
type subscription struct {
	hub   *hub
	id    string
	place *admission.Place
	// evicted is closed when another client needs the place of one that has no
	// stream yet.
	evicted chan struct{}

	mu sync.Mutex
	// mail holds the newest document only. The first one comes by itself. It is
	// nil once a stream gets the documents.
	mail   chan *document
	stream *live.Stream
}

func newHub(limit func() int, read func(context.Context, string) *document) *hub {
	return &hub{
		read: read, places: admission.New(limit), wake: make(chan struct{}, 1), done: make(chan struct{}),
		topics: map[string]*topic{}, dirty: map[string]bool{}, streams: live.NewStreams(),
	}
}

// acquire takes a place for a stream or a held answer of a client; release it.
// Where there is no room, the streams of clients that have gone make some, and
// then those of a client with more. evict ends what holds the place, until settle
// names something else. errBusy, errClosing.
func (h *hub) acquire(from netip.Prefix, evict func()) (*admission.Place, error) {
	h.mu.Lock()
	ended := h.ended
	h.mu.Unlock()
	if ended {
		return nil, errClosing
	}
	if h.places.Len() >= h.places.Limit() {
		h.streams.Sweep()
	}
	p := &admission.Place{From: from, Evict: evict}
	if !h.places.Take(p) {
		return nil, errBusy
	}
	return p, nil
}

func (h *hub) release(p *admission.Place) { h.places.Release(p) }

// subscribe watches a job, known or not, for a client. errBusy, errClosing.
func (h *hub) subscribe(id string, from netip.Prefix) (*subscription, error) {
	evicted := make(chan struct{})
	p, err := h.acquire(from, func() { close(evicted) })
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	s := &subscription{hub: h, id: id, place: p, evicted: evicted, mail: make(chan *document, 1)}
	t := h.topics[id]
	if t == nil {
		t = &topic{subs: map[*subscription]struct{}{}}
		h.topics[id] = t
		h.markLocked(id)
	}
	if t.latest != nil && t.latest.mayRetry() {
		// Those who have seen this end are leaving; who comes now may come for
		// what a retry has made of the job since.
		t.latest = nil
		h.markLocked(id)
	}
	if t.latest != nil {
		s.mail <- t.latest
	}
	t.subs[s] = struct{}{}
	return s, nil
}

// follow gives a stream, from now on, what would come as mail. One whose place was
// taken while it began ends.
func (s *subscription) follow(st *live.Stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stream = st
	if !s.hub.places.SetEvict(s.place, st.Close, nil) {
		st.Close()
	}
	select {
	case d := <-s.mail:
		s.send(d)
	default:
	}
	s.mail, s.evicted = nil, nil
}

// tell gives the subscriber a document. It never waits.
func (s *subscription) tell(d *document) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stream != nil {
		s.send(d)
		return
	}
	select {
	case <-s.mail: // too late for this one
	default:
	}
	s.mail <- d // nobody else sends
}

func (s *subscription) close() {
	s.hub.drop(s)
	s.hub.release(s.place)
}

func (h *hub) drop(s *subscription) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.topics[s.id]
	delete(t.subs, s)
	if len(t.subs) == 0 {
		delete(h.topics, s.id)
		delete(h.dirty, s.id)
	}
}

// send leaves out that a document could not be had: that is no event.
func (s *subscription) send(d *document) {
	if d.err == nil {
		s.stream.Send(d.message())
	}
}

// changed is called with the ids of changed jobs; it never waits.
func (h *hub) changed(ids []string) {
	h.moved.Store(true)
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, id := range ids {
		if h.topics[id] != nil {
			h.markLocked(id)
		}
	}
}

func (h *hub) markLocked(id string) {
	h.dirty[id] = true
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// run reads and tells until ctx ends.
func (h *hub) run(ctx context.Context) {
	var tending sync.WaitGroup
	tending.Go(func() { h.streams.Run(ctx) })
	defer tending.Wait()
	defer h.end()
	tick := time.NewTicker(hubTick)
	defer tick.Stop()
	tick.Stop()
	ticking := false
	for {
		if watched := h.watched(); watched != ticking {
			ticking = watched
			retick(tick, ticking)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			h.tick(ctx)
		case <-h.wake:
			h.refresh(ctx, h.takeDirty())
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(hubPause):
		}
	}
}

func retick(t *time.Ticker, on bool) {
	if on {
		t.Reset(hubTick)
	} else {
		t.Stop()
	}
}

// end ends every stream.
func (h *hub) end() {
	h.mu.Lock()
	if !h.ended {
		h.ended = true
		close(h.done)
	}
	h.mu.Unlock()
	h.streams.End()
}

func (h *hub) watched() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.topics) > 0
}

func (h *hub) takeDirty() map[string]bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	dirty := h.dirty
	h.dirty = make(map[string]bool)
	return dirty
}

func (h *hub) refresh(ctx context.Context, ids map[string]bool) {
	for id := range ids {
		if ctx.Err() != nil {
			return
		}
		h.update(ctx, id)
	}
}

// tick sweeps where there is a reason to: what another process has written may
// be about any job; what this one has, and in the end time itself, changes what
// queued jobs wait for.
func (h *hub) tick(ctx context.Context) {
	h.ticks++
	if len(h.rest) == 0 {
		others, moved := h.others.Swap(false), h.moved.Swap(false)
		if others || moved || h.ticks%hubAnyway == 0 {
			h.rest = h.ids(others)
		}
	}
	h.sweep(ctx)
}

// sweep reads watched jobs in turn, as many as the budget allows.
func (h *hub) sweep(ctx context.Context) {
	for end := time.Now().Add(hubBudget); len(h.rest) > 0 && time.Now().Before(end) && ctx.Err() == nil; {
		id := h.rest[len(h.rest)-1]
		h.rest = h.rest[:len(h.rest)-1]
		if h.open(id) {
			h.update(ctx, id)
		}
	}
}

// ids lists the topics, or only those of jobs that do not run yet.
func (h *hub) ids(all bool) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	ids := make([]string, 0, len(h.topics))
	for id, t := range h.topics {
		if all || t.latest == nil || t.latest.state != jobs.Running {
			ids = append(ids, id)
		}
	}
	return ids
}

// open reports whether id is watched and may still change.
func (h *hub) open(id string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.topics[id]
	return t != nil && (t.latest == nil || !t.latest.final())
}

// update reads a job and tells of it. A panic over one job keeps nobody from
// hearing of others.
func (h *hub) update(ctx context.Context, id string) {
	if caught := panics.Catch(func() { h.tell(h.read(ctx, id)) }); caught != nil {
		slog.Error("a panic was caught", "job", id, "stage", "live events", "err", caught, "stack", caught.Stack)
	}
}

// tell gives a document to the job's subscribers if it is a new one.
func (h *hub) tell(d *document) {
	for _, s := range h.publish(d) {
		s.tell(d)
	}
}

// publish keeps d as the latest and returns who is to have it.
func (h *hub) publish(d *document) []*subscription {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.topics[d.id]
	if t == nil || t.latest != nil && (d.failed() || t.latest.same(d)) {
		return nil
	}
	if d.mayRetry() && h.dirty[d.id] {
		return nil // it has changed since it was read, and will be read again
	}
	t.latest = d
	subs := make([]*subscription, 0, len(t.subs))
	for s := range t.subs {
		subs = append(subs, s)
	}
	return subs
}

// failed reports whether the document could not be read; an unknown job is none.
func (d *document) failed() bool { return d.err != nil && !isUnknown(d.err) }

// mayRetry reports whether the document is of an end that a person may undo.
func (d *document) mayRetry() bool { return d.final() && d.state != jobs.Succeeded }

func (d *document) same(other *document) bool {
	return d.version == other.version && d.state == other.state && d.failed() == other.failed()
}
