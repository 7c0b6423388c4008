package nodes

import (
	"sync"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

// liveness decides which instances are alive. A heartbeat is a number that changes. Its
// age is measured with the clock of this process, because the clocks of other nodes may
// be hours off.
type liveness struct {
	lease time.Duration    // of this process
	watch time.Duration    // the most time between two looks that counts
	clock func() time.Time // not rounded

	mu     sync.Mutex
	seen   map[string]sighting
	looked time.Time // when any heartbeat was read last
	// writes are the heartbeats of this process that are being written, and since when
	// there has been one. excused is how much of that time was left out.
	writes  int
	writing time.Time
	excused time.Duration
}

// sighting is when the present value of a heartbeat was first seen.
type sighting struct {
	beat    int64
	at      time.Time
	renewed bool // another value was seen before
}

// see records the heartbeat of an instance and returns when that value was first seen.
func (l *liveness) see(instance string, beat int64, now time.Time) sighting {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.skip(now)
	s, known := l.seen[instance]
	if !known || s.beat != beat {
		s = sighting{beat: beat, at: now, renewed: known}
		l.seen[instance] = s
	}
	return s
}

// skip leaves out of all ages the time for which this process has read no heartbeat, and that
// for which it could not write its own: the database was away, maybe for all nodes, another
// node held up all writers, or this process stood still. The caller holds the lock.
func (l *liveness) skip(now time.Time) {
	missed := time.Duration(0)
	if !l.looked.IsZero() {
		missed = max(0, now.Sub(l.looked)-l.watch)
	}
	if l.writes > 0 {
		if blocked := now.Sub(l.writing) - l.watch - l.excused; blocked > 0 {
			l.excused += blocked
			missed = max(missed, blocked)
		}
	}
	if missed > 0 {
		for instance, s := range l.seen {
			s.at = s.at.Add(min(missed, max(0, now.Sub(s.at))))
			l.seen[instance] = s
		}
	}
	l.looked = engine.Later(l.looked, now)
}

// write records that this process begins to write a heartbeat. The function end is called
// when that is over.
func (l *liveness) write() (end func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.writes == 0 {
		l.writing, l.excused = l.clock(), 0
	}
	l.writes++
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.writes--
	}
}

// MaxLease is the longest lease that is taken from the row of an instance.
const MaxLease = 24 * time.Hour

// leaseOf returns the lease of an instance from its row, in microseconds. An instance of an
// older program recorded none; for it the lease of this process holds.
func (l *liveness) leaseOf(us int64) time.Duration {
	if us <= 0 {
		return l.lease
	}
	return min(engine.Microseconds(us), MaxLease)
}

// alive reports whether the heartbeat of an instance was seen to change within its lease.
// lease is as in its row.
func (l *liveness) alive(instance string, beat, lease int64, now time.Time) bool {
	return now.Sub(l.see(instance, beat, now).at) < l.leaseOf(lease)
}

// wrote records a heartbeat that this process has written.
func (l *liveness) wrote(instance string, beat int64) {
	now := l.clock()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen[instance] = sighting{beat: beat, at: now, renewed: true}
}

// keep forgets all instances that are not in list.
func (l *liveness) keep(list map[string]bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for instance := range l.seen {
		if !list[instance] {
			delete(l.seen, instance)
		}
	}
}

// sight fills in Alive, Seen and Lapses of an instance that has not left. Until its
// heartbeat was seen to change, the date of the heartbeat counts.
func (l *liveness) sight(n *Node) {
	now := l.clock()
	s := l.see(n.Instance, engine.Micros(n.Beat), now)
	age := now.Sub(s.at)
	if off := now.Sub(n.Beat); !s.renewed && off.Abs() > n.Lease {
		age = max(age, off, n.Lease)
	}
	n.Alive = age < n.Lease
	n.Seen = now.Add(-age).UTC().Round(100 * time.Millisecond) // rounded, because the clock may have been set
	n.Lapses = n.Seen.Add(n.Lease)
}
