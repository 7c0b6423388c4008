package main

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"
)

var costs = Costs{Base: time.Millisecond, Accept: 100 * time.Microsecond, Sent: 100 * time.Microsecond, Claim: 400 * time.Microsecond, Finish: 400 * time.Microsecond, Beat: 200 * time.Microsecond}

// Programs that run long keep all slots busy.
func TestLongPrograms(t *testing.T) {
	for _, n := range []int{1, 2, 4} {
		o := Simulate(Pool{Nodes: n, Slots: 4, Program: 2 * time.Second, BeatEvery: 5 * time.Second, Costs: costs}, 100*time.Second)
		if want := float64(n*4) / 2; math.Abs(o.Jobs-want) > 0.02*want {
			t.Errorf("%d nodes: %g jobs/s, want %g", n, o.Jobs, want)
		}
	}
}

// Programs that take no time are bounded by the write lock.
func TestWriteLock(t *testing.T) {
	o := Simulate(Pool{Nodes: 1, Slots: 1, Costs: costs}, 100*time.Second)
	// Two executors of a slot share transactions, at most two operations in each.
	least, most := 1/(2*costs.Base+time.Millisecond).Seconds(), 1/(costs.Base+time.Millisecond).Seconds()
	if o.Jobs < least || o.Jobs > most || o.Busy < 0.99 {
		t.Errorf("%g jobs/s, want %g to %g; busy %g", o.Jobs, least, most, o.Busy)
	}
	many := Simulate(Pool{Nodes: 50, Slots: 16, Costs: costs}, 20*time.Second)
	if limit := 1 / time.Millisecond.Seconds(); many.Jobs > limit || many.Jobs < 0.8*limit {
		t.Errorf("%g jobs/s, the lock allows %g", many.Jobs, limit)
	}
	if many.Wait < o.Wait {
		t.Errorf("a job waits %v for its end in a pool that is full, %v alone", many.Wait, o.Wait)
	}
}

// Heartbeats of many nodes take turns, too.
func TestBeats(t *testing.T) {
	p := Pool{Nodes: 1000, Slots: 1, Program: time.Hour, BeatEvery: 5 * time.Second, Costs: costs}
	if o := Simulate(p, 50*time.Second); math.Abs(o.Busy-0.24) > 0.02 {
		t.Errorf("busy %g, want 200 heartbeats of 1.2 ms a second", o.Busy)
	}
}

func TestTable(t *testing.T) {
	var out bytes.Buffer
	if err := run([]string{"-span", "1"}, &out); err != nil || strings.Count(out.String(), "\n") != 9 {
		t.Errorf("%v\n%s", err, out.String())
	}
	if err := run([]string{"-base", "x"}, &out); err == nil {
		t.Error("a bad number is taken")
	}
}
