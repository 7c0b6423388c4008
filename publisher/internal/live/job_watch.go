package live

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/runnerbean/runnerbean/internal/panics"
	"github.com/runnerbean/runnerbean/jobs"
)

const (
	// sweepEvery is how often watched jobs are read that nobody has named as changed,
	// if there is a reason to. Without a reason that happens every sweepAnyway times.
	sweepEvery  = time.Second
	sweepAnyway = 10
	// sweepBudget bounds the share of that time that reading takes.
	sweepBudget = sweepEvery / 10
)

// jobWatch reads the documents of watched jobs and delivers those that have changed.
type jobWatch struct {
	read func(ctx context.Context, id string) Document
	log  *slog.Logger
	wake func()
	// external: another process has written. own: this process has, which may have
	// moved queued jobs along.
	external, own atomic.Bool

	mu     sync.Mutex
	topics map[string]*topic
	dirty  map[string]bool // topics to read

	// Only the broker's goroutine uses these.
	rest  []string // topics that the sweep has yet to read
	ticks int
	next  time.Time // of the next tick
}

// topic is one watched job.
type topic struct {
	latest        Document // nil before the first read
	subscriptions map[*Subscription]struct{}
}

func newJobWatch(read func(context.Context, string) Document, log *slog.Logger, wake func()) *jobWatch {
	return &jobWatch{read: read, log: log, wake: wake, topics: map[string]*topic{}, dirty: map[string]bool{}}
}

// add delivers the latest document to s, and the next ones.
func (w *jobWatch) add(s *Subscription) {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.topics[s.id]
	if t == nil {
		t = &topic{subscriptions: map[*Subscription]struct{}{}}
		w.topics[s.id] = t
		w.markLocked(s.id)
	}
	if t.latest != nil && mayRetry(t.latest) {
		// The job may have been retried since. Other clients that have seen this end
		// are leaving.
		t.latest = nil
		w.markLocked(s.id)
	}
	if t.latest != nil {
		s.mail <- t.latest
	}
	t.subscriptions[s] = struct{}{}
}

func (w *jobWatch) remove(s *Subscription) {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.topics[s.id]
	if t == nil {
		return
	}
	delete(t.subscriptions, s)
	if len(t.subscriptions) == 0 {
		delete(w.topics, s.id)
		delete(w.dirty, s.id)
	}
}

func (w *jobWatch) changed(ids []string) {
	w.own.Store(true)
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range ids {
		if w.topics[id] != nil {
			w.markLocked(id)
		}
	}
}

func (w *jobWatch) markLocked(id string) {
	w.dirty[id] = true
	w.wake()
}

// round reads what has changed. It returns when it wants to be called again if
// nothing changes; a zero time is never.
func (w *jobWatch) round(ctx context.Context, now time.Time) time.Time {
	w.refresh(ctx, w.takeDirty())
	switch {
	case !w.watched():
		w.next = time.Time{}
	case w.next.IsZero():
		w.next = now.Add(sweepEvery)
	case !now.Before(w.next):
		w.tick(ctx)
		w.next = now.Add(sweepEvery)
	}
	return w.next
}

func (w *jobWatch) watched() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.topics) > 0
}

func (w *jobWatch) takeDirty() map[string]bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.dirty) == 0 {
		return nil
	}
	dirty := w.dirty
	w.dirty = make(map[string]bool)
	return dirty
}

func (w *jobWatch) refresh(ctx context.Context, ids map[string]bool) {
	for id := range ids {
		if ctx.Err() != nil {
			return
		}
		w.update(ctx, id)
	}
}

// tick starts a sweep if there is a reason to. A change by another process may be
// about any job. A change by this one, and in the end time itself, changes what
// queued jobs wait for.
func (w *jobWatch) tick(ctx context.Context) {
	w.ticks++
	if len(w.rest) == 0 {
		external, own := w.external.Swap(false), w.own.Swap(false)
		if external || own || w.ticks%sweepAnyway == 0 {
			w.rest = w.ids(external)
		}
	}
	w.sweep(ctx)
}

// sweep reads watched jobs in turn, as many as the budget allows.
func (w *jobWatch) sweep(ctx context.Context) {
	for end := time.Now().Add(sweepBudget); len(w.rest) > 0 && time.Now().Before(end) && ctx.Err() == nil; {
		id := w.rest[len(w.rest)-1]
		w.rest = w.rest[:len(w.rest)-1]
		if w.mayChange(id) {
			w.update(ctx, id)
		}
	}
}

// ids returns the watched jobs, or only those that do not run yet.
func (w *jobWatch) ids(all bool) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	ids := make([]string, 0, len(w.topics))
	for id, t := range w.topics {
		if all || t.latest == nil || t.latest.State() != jobs.Running {
			ids = append(ids, id)
		}
	}
	return ids
}

// mayChange reports whether id is watched and has not ended.
func (w *jobWatch) mayChange(id string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.topics[id]
	return t != nil && (t.latest == nil || !t.latest.State().Final())
}

// update reads a job and delivers its document. A panic over one job does not keep
// the others from being read.
func (w *jobWatch) update(ctx context.Context, id string) {
	if caught := panics.Catch(func() { w.deliver(w.read(ctx, id)) }); caught != nil {
		w.log.Error("a panic was caught", "job", id, "stage", "live events", "err", caught, "stack", caught.Stack)
	}
}

// deliver gives a document to the subscriptions of the job if it is a new one.
func (w *jobWatch) deliver(d Document) {
	fanOut(w.publish(d), func(s *Subscription) { s.deliver(d) })
}

// publish keeps d as the latest document and returns who is to get it.
func (w *jobWatch) publish(d Document) []*Subscription {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.topics[d.ID()]
	if t == nil || t.latest != nil && (d.Failed() || same(t.latest, d)) {
		return nil
	}
	if mayRetry(d) && w.dirty[d.ID()] {
		return nil // the job has changed since it was read, and is read again
	}
	t.latest = d
	list := make([]*Subscription, 0, len(t.subscriptions))
	for s := range t.subscriptions {
		list = append(list, s)
	}
	return list
}
