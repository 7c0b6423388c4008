package process

import "time"

// A runtime with timers always uses some CPU. A program counts as idle if it uses
// less than a thousandth of one CPU and one tick, the unit that the kernel counts
// in.
const (
	idleFraction = 1000
	idleTick     = 10 * time.Millisecond
)

// stallDetector finds a program that has done nothing for as long as limit. It
// checks eight times in that time, and reads the CPU time only if nothing was
// written.
type stallDetector struct {
	limit  time.Duration
	next   time.Time // of the next check; zero for never
	active bool      // something was written since the last check

	last  time.Time
	idle  time.Duration // how long the program is known to be idle
	known bool          // base is set
	base  time.Duration // CPU time at the start of idle
}

func (d *stallDetector) start(limit time.Duration, now time.Time) {
	if limit > 0 {
		d.limit, d.last = limit, now
		d.next = now.Add(d.step())
	}
}

// shift moves the checks by the time that the program was paused.
func (d *stallDetector) shift(by time.Duration) {
	if !d.next.IsZero() {
		d.last, d.next = d.last.Add(by), d.next.Add(by)
	}
}

func (d *stallDetector) step() time.Duration { return max(d.limit/8, time.Millisecond) }

// stalled reports whether the program has stalled. Time in which this process
// itself was stopped does not count.
func (d *stallDetector) stalled(now time.Time, cpu func() time.Duration) bool {
	if d.next.IsZero() || now.Before(d.next) {
		return false
	}
	since := min(now.Sub(d.last), 2*d.step())
	d.last, d.next = now, now.Add(d.step())
	if d.active {
		d.active, d.known = false, false
		return false
	}
	used := cpu()
	// The sum falls when a process that was counted has ended.
	if !d.known || used < d.base || used-d.base > idleTick+(d.idle+since)/idleFraction {
		d.known, d.base, d.idle = true, used, 0
		return false
	}
	d.idle += since
	return d.idle >= d.limit
}
