package ledger

import (
	"context"
	"sync"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

// beats tells living instances from dead ones. A heartbeat is a number that
// changes; how long ago it did is measured here, by this process's own
// monotonic clock, for the clocks of other nodes may be hours off.
type beats struct {
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
func (b *beats) see(instance string, beat int64, now time.Time) sighting {
	b.mu.Lock()
	defer b.mu.Unlock()
	s, known := b.seen[instance]
	if !known || s.beat != beat {
		s = sighting{beat: beat, at: now, renewed: known}
		b.seen[instance] = s
	}
	return s
}

// wrote notes a heartbeat of this process's own.
func (b *beats) wrote(instance string, beat int64, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seen[instance] = sighting{beat: beat, at: now, renewed: true}
}

// keep forgets all instances but those in list.
func (b *beats) keep(list map[string]bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for instance := range b.seen {
		if !list[instance] {
			delete(b.seen, instance)
		}
	}
}

// noBeat stands for the heartbeat of an instance that nobody has registered.
const noBeat = -1

var (
	qBeats   = engine.NewQuery("SELECT instance, beat FROM nodes WHERE left_at = 0")
	qRunners = engine.NewQuery("SELECT DISTINCT instance FROM jobs WHERE state = 'running'")
	qHasLeft = engine.NewQuery("SELECT 1 FROM nodes WHERE instance = ? AND left_at > 0")
)

// dead lists the instances that have running jobs and are dead: they have left,
// or their heartbeat has not changed for the lease while this process looked.
func (l *Ledger) dead(ctx context.Context) (list []string, err error) {
	now, seen := l.clock(), map[string]bool{}
	ages := map[string]time.Duration{}
	err = l.reader.Each(ctx, qBeats, nil, func(r engine.Row) error {
		var instance string
		var beat int64
		if err := r.Scan(&instance, &beat); err != nil {
			return err
		}
		seen[instance], ages[instance] = true, now.Sub(l.beats.see(instance, beat, now).at)
		return nil
	})
	if err != nil {
		return nil, err
	}
	runners, err := l.runners(ctx)
	for _, instance := range runners {
		age, registered := ages[instance]
		if !registered {
			left := 0
			if _, err := l.reader.Row(ctx, qHasLeft, []any{instance}, &left); err != nil {
				return nil, err
			}
			seen[instance] = true
			age = now.Sub(l.beats.see(instance, noBeat, now).at)
			if left == 1 {
				age = l.lease
			}
		}
		if age >= l.lease {
			list = append(list, instance)
		}
	}
	l.beats.keep(seen)
	return list, err
}

func (l *Ledger) runners(ctx context.Context) (list []string, err error) {
	err = l.reader.Each(ctx, qRunners, nil, func(r engine.Row) error {
		var instance string
		err := r.Scan(&instance)
		list = append(list, instance)
		return err
	})
	return list, err
}

// alive reports whether an instance has renewed its heartbeat within the lease.
func (t *txn) alive(instance string) (bool, error) {
	var beat int64
	found, err := t.Row(qBeatOf, []any{instance}, &beat)
	if err != nil || !found || beat == 0 {
		return false, err
	}
	now := t.l.clock()
	return now.Sub(t.l.beats.see(instance, beat, now).at) < t.l.lease, nil
}

// sight says of an instance that has not left when its heartbeat was seen to
// change, and whether it is alive, for those who only look. Before a heartbeat was
// seen to change, its date has to do.
func (l *Ledger) sight(n *Node) {
	now := l.clock()
	s := l.beats.see(n.Instance, engine.Micros(n.Beat), now)
	age := now.Sub(s.at)
	if off := now.Sub(n.Beat); !s.renewed && off.Abs() > l.lease {
		age = max(age, off, l.lease)
	}
	n.Alive = age < l.lease
	n.Seen = now.Add(-age).UTC().Round(100 * time.Millisecond) // the clock may have been set meanwhile
	n.Lapses = n.Seen.Add(l.lease)
}
