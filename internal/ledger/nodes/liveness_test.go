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
	l := liveness{lease: 20 * time.Second, clock: func() time.Time { return now }, seen: map[string]sighting{}}
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
	now = now.Add(15 * time.Second)
	seen(15*time.Second, true)
	now = now.Add(5 * time.Second)
	seen(20*time.Second, false)
	n = Node{Name: "n8", Instance: "i8", Beat: now.Add(time.Hour), Lease: l.lease} // ahead, and never seen to change
	seen(l.lease, false)
}
