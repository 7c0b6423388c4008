package recent

import (
	"strconv"
	"testing"
	"time"
)

// TestBounds checks how much is kept of jobs that nobody takes, and for how long.
func TestBounds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ bytes, want int }{{0, MaxJobs}, {1, MaxJobs}, {MaxBytes / 4, 4}} {
		var j Jobs[int]
		now, next := time.Date(2026, 11, 22, 6, 16, 0, 0, time.UTC), 0
		fill := func(when string) {
			t.Helper()
			for range 2 * MaxJobs {
				j.Add(strconv.Itoa(next), next, c.bytes, now)
				next++
			}
			if len(j.jobs) != c.want || j.bytes != c.want*c.bytes {
				t.Errorf("%d bytes each, %s: %d jobs, %d bytes", c.bytes, when, len(j.jobs), j.bytes)
			}
		}
		fill("full")
		if v, ok := j.Take("1"); !ok || v != 1 {
			t.Errorf("got %d, %v", v, ok)
		}
		fill("after one was taken")
		first := next
		now = now.Add(Age)
		fill("after a while")
		for _, v := range j.jobs {
			if v.value < first {
				t.Fatal("an old job has kept its place")
			}
		}
		now = now.Add(-time.Hour)
		first = next
		fill("after the clock was set back")
		for _, v := range j.jobs {
			if v.value < first {
				t.Fatal("a job of the future has kept its place")
			}
		}
	}
}

// A value replaces the one before, whose bytes do not count any more.
func TestReplace(t *testing.T) {
	t.Parallel()
	var j Jobs[string]
	now := time.Now()
	j.Add("a", "one", 10, now)
	j.Add("a", "two", 3, now)
	if v, ok := j.Take("a"); v != "two" || !ok || j.bytes != 0 || len(j.jobs) != 0 {
		t.Errorf("%q, %v, %d bytes left", v, ok, j.bytes)
	}
	if _, ok := j.Take("a"); ok {
		t.Error("taken twice")
	}
}
