package process

import "time"

// Runtimes with timers are never quite still: a program that uses no more than
// a thousandth of one CPU, and the tick that the kernel counts in, does nothing.
const (
	idlePart = 1000
	idleTick = 10 * time.Millisecond
)

// quiet finds out that a program has done nothing for as long as limit. It looks
// eight times in that time, and reads the CPU only where nothing was written.
type quiet struct {
	limit time.Duration
	next  time.Time // of the next look; zero for never
	heard bool      // something was written since the last look

	last  time.Time
	still time.Duration // for how long it is known to have done nothing
	known bool          // whether base is
	base  time.Duration // CPU used before that
}

func (q *quiet) start(limit time.Duration, now time.Time) {
	if limit > 0 {
		q.limit, q.last = limit, now
		q.next = now.Add(q.step())
	}
}

// shift puts the looks off by the time for which the program stood still.
func (q *quiet) shift(d time.Duration) {
	if !q.next.IsZero() {
		q.last, q.next = q.last.Add(d), q.next.Add(d)
	}
}

func (q *quiet) step() time.Duration { return max(q.limit/8, time.Millisecond) }

// tooLong looks where it is time to. Time that this process slept through, being
// stopped itself, does not count.
func (q *quiet) tooLong(now time.Time, cpu func() time.Duration) bool {
	if q.next.IsZero() || now.Before(q.next) {
		return false
	}
	since := min(now.Sub(q.last), 2*q.step())
	q.last, q.next = now, now.Add(q.step())
	if q.heard {
		q.heard, q.known = false, false
		return false
	}
	used := cpu()
	// Less than before: something that was counted has ended.
	if !q.known || used < q.base || used-q.base > idleTick+(q.still+since)/idlePart {
		q.known, q.base, q.still = true, used, 0
		return false
	}
	q.still += since
	return q.still >= q.limit
}
