package process

import "time"

// Events are read at a rate that costs a node little, whatever a program writes.
// Above that rate the pipe fills up and the program has to wait, because every
// line may be important.
const (
	eventRate  = 4000 // lines a second
	eventBurst = 2 * eventRate
	eventBytes = 2048 // count as one more line
	eventRead  = 16 << 10
)

// outputFlow limits the rate at which events are read.
type outputFlow struct {
	used   int // lines read beyond the rate so far
	at     time.Time
	resume time.Time // end of the pause in reading; zero while the pipe is read
	fd     int32     // of the pipe during the pause
	off    bool      // no limit: the program has ended
}

// add counts what was read. It returns when the next read is allowed, or the
// zero time for now.
func (f *outputFlow) add(lines, bytes int, now time.Time) time.Time {
	if !f.at.IsZero() {
		f.used = max(0, f.used-int(min(now.Sub(f.at), time.Minute)*eventRate/time.Second))
	}
	f.at = now
	f.used += lines + bytes/eventBytes
	if f.used <= eventBurst {
		return time.Time{}
	}
	return now.Add(time.Duration(f.used-eventBurst) * time.Second / eventRate)
}
