//go:build unix

package process

import "time"

// Events are read at a rate that costs a node little, whatever a program
// writes. Beyond it the pipe fills and the program waits: a line may be one that
// must not be lost.
const (
	eventRate  = 4000 // lines a second
	eventBurst = 2 * eventRate
	eventBytes = 2048 // count as one line more
	eventRead  = 16 << 10
)

// flow is how much may still be read of the events.
type flow struct {
	used   int // lines read and not yet made good by time
	at     time.Time
	resume time.Time // zero while the pipe is read
	fd     int32     // of the pipe while it is not
	off    bool      // at the end, when no more can come than is in the pipe
}

// add counts what was read, and tells when the next may be.
func (f *flow) add(lines, bytes int, now time.Time) time.Time {
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

// bufferFor is what one read of the pipe may fill. What is read of events at
// once must be made good before the next.
func (g *group) bufferFor(at int) []byte {
	if at == fdEvents {
		return g.gear.buf[:eventRead]
	}
	return g.gear.buf
}

// takeEvents passes lines on, and leaves the pipe alone for a while after too
// many of them.
func (g *group) takeEvents(p []byte) {
	before := g.events.ended
	g.events.write(p)
	if g.spec.Event == nil || g.flow.off {
		return
	}
	if at := g.flow.add(g.events.ended-before, len(p), time.Now()); !at.IsZero() {
		g.flow.resume = at
		g.flow.fd, g.fds[fdEvents].Fd = g.fds[fdEvents].Fd, -1
	}
}

// resume reads the events again when it is time to.
func (g *group) resume(now time.Time) {
	if !g.flow.resume.IsZero() && !now.Before(g.flow.resume) {
		g.unhold()
	}
}

// unhold makes the pipe of the events one like the others again.
func (g *group) unhold() {
	if !g.flow.resume.IsZero() {
		g.fds[fdEvents].Fd, g.flow.resume = g.flow.fd, time.Time{}
		g.quiet.heard = true // there may be more that was not read
	}
}
