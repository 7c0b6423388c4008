package nodes

import (
	"sync"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

// liveness tells living instances from dead ones. A heartbeat is a number that
// changes; how long ago it did is measured here, by this process's own
// monotonic clock, for the clocks of other nodes may be hours off.
type liveness struct {
	lease time.Duration
	clock func() time.Time // not rounded

	mu   sync.Mutex
	seen map[string]sighting
}

// sighting is when a heartbeat was seen first.
type sighting struct {
	beat    int64
	at      time.Time
	renewed bool // it was another one before
}

// see notes an instance's heartbeat and returns since when it is that.
func (l *liveness) see(instance string, beat int64, now time.Time) sighting {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, known := l.seen[instance]
	if !known || s.beat != beat {
		s = sighting{beat: beat, at: now, renewed: known}
		l.seen[instance] = s
	}
	return s
}

// wrote notes a heartbeat of this process's own.
func (l *liveness) wrote(instance string, beat int64) {
	now := l.clock()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen[instance] = sighting{beat: beat, at: now, renewed: true}
}

// keep forgets all instances but those in list.
func (l *liveness) keep(list map[string]bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for instance := range l.seen {
		if !list[instance] {
			delete(l.seen, instance)
		}
	}
}

// sight says of an instance that has not left when its heartbeat was seen to
// change, and whether it is alive, for those who only look. Before a heartbeat was
// seen to change, its date has to do.
func (l *liveness) sight(n *Node) {
	now := l.clock()
	s := l.see(n.Instance, engine.Micros(n.Beat), now)
	age := now.Sub(s.at)
	if off := now.Sub(n.Beat); !s.renewed && off.Abs() > l.lease {
		age = max(age, off, l.lease)
	}
	n.Alive = age < l.lease
	n.Seen = now.Add(-age).UTC().Round(100 * time.Millisecond) // the clock may have been set meanwhile
	n.Lapses = n.Seen.Add(l.lease)
}
