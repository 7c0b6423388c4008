package live

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/panics"
)

const (
	// newsPause is the least time between two rounds of news, however many jobs change.
	newsPause = 20 * time.Millisecond
	// newsEvery is how often news is looked for without a change, and how often at
	// most a change is told.
	newsEvery = time.Second
	// maxPending bounds the changed jobs that wait to be read. If more change at once,
	// followers are told to read everything again.
	maxPending = 4096
)

// news sends to followers what happens at all nodes. Without followers it does
// nothing.
type news struct {
	reader newsReader
	log    *slog.Logger
	wake   func()

	mu        sync.Mutex
	members   int // followers, and those that are joining
	followers map[*Follower]struct{}
	joining   []*Follower
	// wants counts the followers of each type. Followers of jobs that name one are
	// counted in named instead.
	wants   map[string]int
	named   map[string]int // by job
	change  bool
	outside bool                // another process has changed something since the last cycle
	pending map[string]struct{} // changed jobs that somebody follows
	lost    bool                // there were too many
	woken   bool                // since the last round

	// Only the broker's goroutine uses these.
	ran, next time.Time // the last round, and the next one if nothing changes
	told      time.Time // when a change was told last
}

func newNews(s Source, log *slog.Logger, wake func()) *news {
	return &news{
		reader: newsReader{source: s, log: log}, log: log, wake: wake, followers: map[*Follower]struct{}{},
		wants: map[string]int{}, named: map[string]int{}, pending: map[string]struct{}{},
	}
}

// join adds a follower. A follower that has left already, because its stream ended
// while it began, stays away.
func (n *news) join(f *Follower) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if f.left {
		return
	}
	f.joined = true
	n.count(f, 1)
	n.joining = append(n.joining, f)
	n.wakeLocked()
}

// leave removes a follower, also one that has not joined.
func (n *news) leave(f *Follower) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f.left = true
	if !f.joined {
		return
	}
	f.joined = false
	delete(n.followers, f)
	n.count(f, -1)
}

// admit lets f hear from now on what is sent, unless it has left.
func (n *news) admit(f *Follower) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if f.joined {
		n.followers[f] = struct{}{}
	}
}

func (n *news) count(f *Follower, by int) {
	n.members += by
	for _, t := range f.Types {
		if t == TypeJob && f.Job != "" {
			if n.named[f.Job] += by; n.named[f.Job] == 0 {
				delete(n.named, f.Job)
			}
			continue
		}
		n.wants[t] += by
	}
}

func (n *news) wakeLocked() {
	n.woken = true
	n.wake()
}

func (n *news) changed(ids []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.members == 0 {
		return
	}
	fresh := !n.change
	n.change = true
	if n.wants[TypeJob] > 0 || len(n.named) > 0 {
		fresh = n.pend(ids) || fresh
	}
	if fresh {
		n.wakeLocked()
	}
}

func (n *news) changedOutside() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.members > 0 {
		n.change, n.outside = true, true
		n.pend(slices.Collect(maps.Keys(n.named)))
		n.wakeLocked()
	}
}

// pend reports whether there is a job to read and there was none before.
func (n *news) pend(ids []string) bool {
	idle := len(n.pending) == 0
	for _, id := range ids {
		if n.wants[TypeJob] == 0 && n.named[id] == 0 {
			continue
		}
		if len(n.pending) == maxPending {
			n.lost = true
			break
		}
		n.pending[id] = struct{}{}
	}
	return idle && len(n.pending) > 0
}

// round sends news if it is due. It returns when it wants to be called again if
// nothing changes; a zero time is never.
func (n *news) round(ctx context.Context, now time.Time) time.Time {
	if !n.followed() {
		n.reader.forget()
		n.next = time.Time{}
		return n.next
	}
	if n.isWoken() && n.next.After(n.ran.Add(newsPause)) {
		n.next = n.ran.Add(newsPause)
	}
	if !now.Before(n.next) {
		n.ran = now
		n.next = now.Add(n.cycleSafely(ctx, now))
	}
	return n.next
}

func (n *news) followed() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.members > 0
}

func (n *news) isWoken() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.woken
}

// len returns the number of followers that have been admitted.
func (n *news) len() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.followers)
}

// work is what one cycle has to do.
type work struct {
	joining []*Follower
	jobs    []string
	lost    bool
	change  bool
	outside bool
	wants   map[string]bool
}

func (n *news) takeWork() work {
	n.mu.Lock()
	defer n.mu.Unlock()
	w := work{joining: n.joining, lost: n.lost, change: n.change, outside: n.outside, wants: map[string]bool{}}
	for id := range n.pending {
		w.jobs = append(w.jobs, id)
	}
	for _, t := range Types {
		w.wants[t] = n.wants[t] > 0
	}
	n.joining, n.lost, n.change, n.outside, n.woken = nil, false, false, false, false
	clear(n.pending)
	return w
}

// cycleSafely is cycle. After a panic the followers are to read everything again,
// because nobody knows what they have missed.
func (n *news) cycleSafely(ctx context.Context, now time.Time) time.Duration {
	again := newsEvery
	if caught := panics.Catch(func() { again = n.cycle(ctx, now) }); caught != nil {
		n.log.Error("a panic was caught", "stage", "events", "err", caught, "stack", caught.Stack)
		n.mu.Lock()
		defer n.mu.Unlock()
		n.lost = true
	}
	return again
}

// cycle sends what there is to send, and returns when to look again.
func (n *news) cycle(ctx context.Context, now time.Time) time.Duration {
	w := n.takeWork()
	if w.wants[TypeEvent] || w.wants[TypeJob] && (w.outside || !n.reader.reads()) {
		fresh := n.sendEvents(ctx, now)
		w.change = w.change || len(fresh) > 0
		if w.outside && w.wants[TypeJob] {
			w.jobs = append(w.jobs, jobsOf(fresh)...)
		}
	}
	n.welcome(ctx, w.joining)
	if w.lost {
		n.send(Event(typeReset, "", []byte("{}"), typeReset), TypeJob, nil)
	}
	n.sendJobs(ctx, w.jobs)
	if (w.wants[TypeNode] || w.wants[TypeChange]) && n.sendNodes(ctx, now) {
		w.change = true
	}
	return n.sendChange(w.change, now)
}

var change = Event(TypeChange, "", []byte("{}"), TypeChange)

// sendChange says that something has changed, unless it has just said so.
func (n *news) sendChange(changed bool, now time.Time) time.Duration {
	if !changed {
		return newsEvery
	}
	if wait := n.told.Add(newsEvery).Sub(now); wait > 0 {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.change = true
		return wait
	}
	n.told = now
	n.send(change, TypeChange, nil)
	return newsEvery
}

func (n *news) sendJobs(ctx context.Context, ids []string) {
	for _, job := range n.reader.jobs(ctx, ids) {
		if m := message(TypeJob, "", job, TypeJob+job.ID); m != nil {
			n.send(m, TypeJob, func(f *Follower) bool { return f.concerns(job.ID, job.Program) })
		}
	}
}

// jobsOf returns the jobs that events are about. Which jobs another process has changed is
// not known otherwise.
func jobsOf(list []api.Event) []string {
	ids := map[string]bool{}
	for _, e := range list {
		if e.Job != "" {
			ids[e.Job] = true
		}
	}
	return slices.Collect(maps.Keys(ids))
}

// sendEvents sends the new events and returns them.
func (n *news) sendEvents(ctx context.Context, now time.Time) []api.Event {
	fresh := n.reader.freshEvents(ctx, now)
	if len(fresh) == 0 {
		return nil
	}
	byProgram := len(n.recipients(TypeEvent, func(f *Follower) bool { return f.Program != "" })) > 0
	programs := n.reader.programsOf(ctx, fresh, byProgram)
	for _, e := range fresh {
		if m := message(TypeEvent, e.ID, e, ""); m != nil {
			n.send(m, TypeEvent, func(f *Follower) bool { return f.concerns(e.Job, programs[e.Job]) })
		}
	}
	return fresh
}

// sendNodes sends what has become of nodes. It reports whether any node has changed,
// also by its heartbeat alone: a heartbeat brings new figures.
func (n *news) sendNodes(ctx context.Context, now time.Time) bool {
	list, changed := n.reader.changedNodes(ctx, now)
	for _, node := range list {
		if m := message(TypeNode, "", node, TypeNode+nodeKey(node)); m != nil {
			n.send(m, TypeNode, nil)
		}
	}
	return changed
}

// welcome sends the events that they have missed to followers that resume, and to all
// the id to resume with. From then on they hear what is sent.
func (n *news) welcome(ctx context.Context, joining []*Follower) {
	for _, f := range joining {
		switch {
		case !slices.Contains(f.Types, TypeEvent):
		case f.Resume:
			f.stream.Send(n.reader.replay(ctx, f))
		default:
			f.stream.Send(Opening(n.reader.window.newest()))
		}
		n.admit(f)
	}
	n.reader.replayed = nil
}

// send sends m to the followers of its type that want it; want nil is all.
func (n *news) send(m *Message, kind string, want func(*Follower) bool) {
	fanOut(n.recipients(kind, want), func(s sender) { s.Send(m) })
}

func (n *news) recipients(kind string, want func(*Follower) bool) []sender {
	n.mu.Lock()
	defer n.mu.Unlock()
	list := make([]sender, 0, len(n.followers))
	for f := range n.followers {
		if slices.Contains(f.Types, kind) && (want == nil || want(f)) {
			list = append(list, f.stream)
		}
	}
	return list
}
