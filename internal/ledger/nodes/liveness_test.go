package nodes

import (
	"testing"
	"time"
)

// TestSilence checks that the age of a heartbeat is measured from the observed change,
// and before one by its date.
func TestSilence(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 6, 16, 0, 0, time.UTC)
	l := liveness{lease: 20 * time.Second, watch: 5 * time.Second, clock: func() time.Time { return now }, seen: map[string]sighting{}}
	n := Node{Name: "n9", Instance: "i9", Beat: now.Add(-time.Hour), Lease: l.lease}
	seen := func(ago time.Duration, alive bool) {
		t.Helper()
		l.sight(&n)
		if got := now.Sub(n.Seen).Round(time.Second); got != ago || n.Alive != alive || n.Lapses.Sub(n.Seen) != l.lease {
			t.Errorf("seen %s ago, %+v; want %s", got, n, ago)
		}
	}
	seen(time.Hour, false)
	n.Beat = now.Add(-2 * time.Hour) // its clock is hours off
	seen(0, true)
	begin := now
	for range 3 {
		now = now.Add(5 * time.Second)
		seen(now.Sub(begin), true)
	}
	now = now.Add(5 * time.Second)
	seen(20*time.Second, false)
	n = Node{Name: "n8", Instance: "i8", Beat: now.Add(time.Hour), Lease: l.lease} // ahead, and never seen to change
	seen(l.lease, false)
}

// TestUnwatched checks that time counts little for which no heartbeat could be read.
func TestUnwatched(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 6, 16, 0, 0, time.UTC)
	l := liveness{lease: 20 * time.Second, watch: 5 * time.Second, seen: map[string]sighting{}}
	for _, step := range []struct {
		wait  time.Duration
		alive bool
	}{{0, true}, {5 * time.Second, true}, {time.Hour, true}, {5 * time.Second, true}, {4 * time.Second, true}, {time.Second, false}, {time.Hour, false}} {
		now = now.Add(step.wait)
		if got := l.alive("i", 1, 0, now); got != step.alive {
			t.Errorf("after %s more: alive %v", step.wait, got)
		}
	}
	if !l.alive("i", 2, 0, now) {
		t.Error("its heartbeat has changed")
	}
}

// TestUnwritten checks that time counts little for which this process could not write its own
// heartbeat: nobody else may have been able to.
func TestUnwritten(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 6, 16, 0, 0, time.UTC)
	l := liveness{lease: 20 * time.Second, watch: 5 * time.Second, clock: func() time.Time { return now }, seen: map[string]sighting{}}
	pass := func(d time.Duration, alive bool) {
		t.Helper()
		for end := now.Add(d); now.Before(end); { // heartbeats are read all the time
			now = now.Add(time.Second)
			l.alive("j", now.Unix(), 0, now)
		}
		if got := l.alive("i", 1, 0, now); got != alive {
			t.Errorf("after %s more: alive %v", d, got)
		}
	}
	pass(0, true)
	end := l.write()
	pass(time.Hour, true) // 5 s of it count
	end()
	pass(14*time.Second, true)
	pass(time.Second, false)
	l.write()()
	pass(time.Hour, false)
}
