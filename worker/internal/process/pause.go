//go:build unix

package process

import (
	"maps"
	"time"

	"golang.org/x/sys/unix"
)

// pause is how a program stands still: as its cgroup, or as processes that were
// stopped one by one.
type pause struct {
	since   time.Time // zero while the program goes on
	frozen  bool
	stopped map[int]uint64 // when those were started that we have stopped
}

// hold has the program stand still or go on as its gate says. What is being
// stopped goes on in any case, or it would never end.
func (g *group) hold(now time.Time) {
	shut := g.spec.Pause.Shut() && g.killAt.IsZero() && !g.killed
	switch {
	case g.killed:
	case shut && g.pause.since.IsZero():
		g.freeze(now)
	case !shut && !g.pause.since.IsZero():
		g.thaw()
	}
}

// freeze makes the program stand still. From now on its clocks do so too.
func (g *group) freeze(now time.Time) {
	g.pause.since = now
	defer g.spec.Handle.setStill(true)
	if g.pause.frozen = g.cage.freeze(true); !g.pause.frozen {
		g.pause.stopped = halt(g.pid, g.mark)
	}
}

// thaw lets the program go on, and puts off its deadlines by the time that it
// stood still. Stopping it may have taken a while, so the clock is read anew.
func (g *group) thaw() {
	if g.pause.since.IsZero() {
		return
	}
	d := time.Since(g.pause.since)
	g.exit.Paused += d
	if !g.deadline.IsZero() {
		g.deadline = g.deadline.Add(d)
	}
	g.quiet.shift(d)
	if g.pause.frozen {
		g.cage.freeze(false)
	}
	proceed(g.pause.stopped)
	g.spec.Handle.setStill(false)
	g.pause = pause{}
}

// still is what the program's end needs to know of a pause that it came in:
// dead processes that were stopped are to be told from others.
func (g *group) still(now time.Time) {
	if g.pause.since.IsZero() {
		return
	}
	g.exit.Paused += now.Sub(g.pause.since)
	if g.hunted == nil {
		g.hunted = map[int]uint64{}
	}
	maps.Copy(g.hunted, g.pause.stopped)
}

// proceed has stopped processes go on, those of them that are still the same.
func proceed(stopped map[int]uint64) {
	for pid, started := range stopped {
		if isSame(pid, started) {
			_ = unix.Kill(pid, unix.SIGCONT)
		}
	}
}
