package publisher

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/runnerbean/runnerbean/internal/panics"
	"github.com/runnerbean/runnerbean/publisher/internal/live"
)

// The types of what /api/v1/events tells.
const (
	newsChange = "change" // something has changed
	newsJob    = "job"
	newsEvent  = "event"
	newsNode   = "node"
	newsReset  = "reset" // some of it was left out: ask for everything again
)

var newsTypes = []string{newsChange, newsJob, newsEvent, newsNode}

const (
	// feedPause bounds how often jobs are read, however many change.
	feedPause = 50 * time.Millisecond
	// feedTick is how often the feed looks for what nobody tells it of, and how
	// often at most it says that something has changed.
	feedTick = time.Second
	// maxPending bounds the changed jobs that wait to be read. Where more change
	// at once, followers are told to ask again.
	maxPending = 4096
)

// feed tells followers what happens at all nodes. Without any it does nothing.
type feed struct {
	source source
	log    *slog.Logger
	wake   chan struct{} // holds one

	mu        sync.Mutex
	members   int // those that follow and those that are joining
	followers map[*follower]struct{}
	joining   []*follower
	// wants counts the followers of each type; those of jobs that name one are
	// in named instead.
	wants   map[string]int
	named   map[string]int // by job
	changed bool
	pending map[string]struct{} // changed jobs that somebody wants to hear of
	lost    bool                // too many of them

	// run's own:
	told   time.Time // when a change was told last
	window eventWindow
	nodes  nodeWatch
}

// follower is one stream of the feed.
type follower struct {
	types        []string
	job, program string // only what concerns them; empty: everything
	resume       bool
	after        string // the last event that the client has had
	stream       sender
	joined, left bool
}

// sender is a stream.
type sender interface{ Send(m *live.Message) }

func newFeed(s source, log *slog.Logger) *feed {
	return &feed{
		source: s, log: log, wake: make(chan struct{}, 1), followers: map[*follower]struct{}{},
		wants: map[string]int{}, named: map[string]int{}, pending: map[string]struct{}{},
	}
}

// join adds a follower; leave it. One that has left already, as its stream ended
// while it began, stays away.
func (f *feed) join(w *follower) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if w.left {
		return
	}
	w.joined = true
	f.count(w, 1)
	f.joining = append(f.joining, w)
	f.rouse()
}

// leave may also be called for one that has not joined.
func (f *feed) leave(w *follower) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w.left = true
	if !w.joined {
		return
	}
	w.joined = false
	delete(f.followers, w)
	f.count(w, -1)
}

// admit lets w hear from now on what is told.
func (f *feed) admit(w *follower) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if w.joined { // and has not left since
		f.followers[w] = struct{}{}
	}
}

func (f *feed) count(w *follower, n int) {
	f.members += n
	for _, t := range w.types {
		if t == newsJob && w.job != "" {
			if f.named[w.job] += n; f.named[w.job] == 0 {
				delete(f.named, w.job)
			}
			continue
		}
		f.wants[t] += n
	}
}

func (f *feed) rouse() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// note is called with the ids of changed jobs; it never waits.
func (f *feed) note(ids []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.members == 0 {
		return
	}
	fresh := !f.changed
	f.changed = true
	if f.wants[newsJob] > 0 || len(f.named) > 0 {
		fresh = f.pend(ids) || fresh
	}
	if fresh {
		f.rouse()
	}
}

// outside is called when another process has written; it never waits.
func (f *feed) outside() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.members > 0 {
		f.changed = true
		f.rouse()
	}
}

// pend reports whether there is something to read that was not before.
func (f *feed) pend(ids []string) bool {
	idle := len(f.pending) == 0
	for _, id := range ids {
		if f.wants[newsJob] == 0 && f.named[id] == 0 {
			continue
		}
		if len(f.pending) == maxPending {
			f.lost = true
			break
		}
		f.pending[id] = struct{}{}
	}
	return idle && len(f.pending) > 0
}

// run tells until ctx ends. What ends the streams is not its business.
func (f *feed) run(ctx context.Context) {
	timer := time.NewTimer(feedTick)
	defer timer.Stop()
	for {
		if !f.followed() {
			timer.Stop()
			f.window, f.nodes = eventWindow{}, nodeWatch{}
		}
		select {
		case <-ctx.Done():
			return
		case <-f.wake:
		case <-timer.C:
		}
		timer.Reset(f.cycleSafely(ctx, time.Now()))
		select {
		case <-ctx.Done():
			return
		case <-time.After(feedPause):
		}
	}
}

func (f *feed) followed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.members > 0
}

// work is what one cycle has to do.
type work struct {
	joining []*follower
	jobs    []string
	lost    bool
	changed bool
	wants   map[string]bool
}

func (f *feed) takeWork() work {
	f.mu.Lock()
	defer f.mu.Unlock()
	w := work{joining: f.joining, lost: f.lost, changed: f.changed, wants: map[string]bool{}}
	for id := range f.pending {
		w.jobs = append(w.jobs, id)
	}
	for _, t := range newsTypes {
		w.wants[t] = f.wants[t] > 0
	}
	f.joining, f.lost, f.changed = nil, false, false
	clear(f.pending)
	return w
}

// cycleSafely is cycle. After a panic those who follow are to read everything
// again, for what they have missed is not known.
func (f *feed) cycleSafely(ctx context.Context, now time.Time) time.Duration {
	again := feedTick
	if caught := panics.Catch(func() { again = f.cycle(ctx, now) }); caught != nil {
		f.log.Error("a panic was caught", "stage", "events", "err", caught, "stack", caught.Stack)
		f.mu.Lock()
		defer f.mu.Unlock()
		f.lost = true
	}
	return again
}

// cycle tells what there is to tell, and returns when to look again.
func (f *feed) cycle(ctx context.Context, now time.Time) time.Duration {
	w := f.takeWork()
	if w.wants[newsEvent] && f.tellEvents(ctx, now) {
		w.changed = true
	}
	f.welcome(ctx, w.joining)
	if w.lost {
		f.tell(live.Event(newsReset, "", []byte("{}"), newsReset), newsJob, nil)
	}
	f.tellJobs(ctx, w.jobs)
	if (w.wants[newsNode] || w.wants[newsChange]) && f.tellNodes(ctx, now) {
		w.changed = true
	}
	return f.tellChange(w.changed, now)
}

var change = live.Event(newsChange, "", []byte("{}"), newsChange)

// tellChange says that something has changed, unless it has just said so.
func (f *feed) tellChange(changed bool, now time.Time) time.Duration {
	if !changed {
		return feedTick
	}
	if wait := f.told.Add(feedTick).Sub(now); wait > 0 {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.changed = true
		return wait
	}
	f.told = now
	f.tell(change, newsChange, nil)
	return feedTick
}

// tell sends m to those who follow its type and whom want, unless it is nil,
// names.
func (f *feed) tell(m *live.Message, kind string, want func(*follower) bool) {
	for _, s := range f.audience(kind, want) {
		s.Send(m)
	}
}

func (f *feed) audience(kind string, want func(*follower) bool) []sender {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := make([]sender, 0, len(f.followers))
	for w := range f.followers {
		if slices.Contains(w.types, kind) && (want == nil || want(w)) {
			list = append(list, w.stream)
		}
	}
	return list
}
