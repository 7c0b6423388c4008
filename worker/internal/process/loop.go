//go:build unix

package process

import (
	"context"
	"time"

	"golang.org/x/sys/unix"
)

// exitSoon is how long pipes are left alone after one has ended.
const exitSoon = 2 * time.Millisecond

// supervise serves the pipes until the leader has ended.
func (g *group) supervise(ctx context.Context) {
	for {
		now := time.Now()
		g.hold(now)
		g.check(ctx, now)
		if g.meter.sample(g.pid, now) == 1 {
			g.limitRest()
		}
		g.resume(now)
		poll(g.fds[:], g.untilNext(now))
		if g.serve() {
			// The end of one pipe is mostly that of the program: to wait for
			// just that saves being woken for every other pipe.
			poll(g.fds[:fdWake], exitSoon)
		}
		if g.fds[fdExit].Revents != 0 {
			return
		}
	}
}

// check stops the program where it is time to, and kills it where that did not
// help.
func (g *group) check(ctx context.Context, now time.Time) {
	switch {
	case g.killed:
	case g.spec.Kill != nil && g.spec.Kill.Err() != nil:
		g.exit.Killed = true
		g.kill()
	case !g.killAt.IsZero():
		if !now.Before(g.killAt) {
			g.kill()
		}
	case g.shallStop(ctx, now):
		g.terminate(now)
	}
}

// shallStop looks for a reason to stop the program, and notes it.
func (g *group) shallStop(ctx context.Context, now time.Time) bool {
	switch {
	case g.exit.StdoutTooBig:
	case ctx.Err() != nil:
		g.exit.Cancelled = true
	case !g.pause.since.IsZero():
		return false
	case !g.deadline.IsZero() && !now.Before(g.deadline):
		g.exit.TimedOut = true
	case g.quiet.tooLong(now, g.cpu):
		g.exit.Stalled = true
	default:
		return false
	}
	return true
}

// cpu is what the whole tree has used so far, from an arbitrary beginning.
func (g *group) cpu() time.Duration {
	if g.cage != nil {
		return g.cage.cpu()
	}
	return treeCPU(g.pid, g.mark)
}

// terminate asks the group to end. A stopped process must go on to hear it, and
// finds the signal there when it does.
func (g *group) terminate(now time.Time) {
	g.meter.look(g.pid)
	g.killAt = now.Add(g.spec.Grace)
	g.signal(unix.SIGTERM)
	g.thaw()
	g.signal(unix.SIGCONT)
}

// untilNext is how long the loop may sleep; negative is for ever.
func (g *group) untilNext(now time.Time) time.Duration {
	var next time.Time
	for _, at := range [...]time.Time{g.nextStep(), g.meter.next, g.flow.resume} {
		if !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	if next.IsZero() {
		return -1
	}
	return max(0, next.Sub(now))
}

// nextStep is when check has something to do, as far as time alone tells.
func (g *group) nextStep() time.Time {
	switch {
	case g.killed:
		return time.Time{}
	case !g.killAt.IsZero():
		return g.killAt
	case !g.pause.since.IsZero():
		return time.Time{}
	case !g.quiet.next.IsZero() && (g.deadline.IsZero() || g.quiet.next.Before(g.deadline)):
		return g.quiet.next
	}
	return g.deadline
}

// poll waits until a descriptor is ready or d is over, and leaves what is ready
// in fds. An interruption counts as nothing ready.
func poll(fds []unix.PollFd, d time.Duration) (ready bool) {
	ms := -1
	if d >= 0 {
		ms = int(min((d+time.Millisecond-1)/time.Millisecond, 1<<30))
	}
	n, err := unix.Poll(fds, ms)
	if err != nil {
		for i := range fds {
			fds[i].Revents = 0
		}
		return err == unix.EINTR
	}
	return n > 0
}

// serve moves bytes on every descriptor that poll found ready, and reports
// whether a pipe came to its end.
func (g *group) serve() (ended bool) {
	if g.fds[fdWake].Revents != 0 {
		g.gear.waker.drain()
	}
	if g.fds[fdStdin].Revents != 0 {
		g.feed()
	}
	for at := fdStdout; at <= fdEvents; at++ {
		if g.fds[at].Fd >= 0 && g.fds[at].Revents != 0 {
			g.read(at)
			ended = ended || g.fds[at].Fd < 0 && (at != fdEvents || g.flow.resume.IsZero())
		}
	}
	return ended
}

// feed writes what the pipe takes of the input, and closes it after the end or
// where nobody reads any more.
func (g *group) feed() {
	for len(g.stdin) > 0 {
		n, err := unix.Write(int(g.fds[fdStdin].Fd), g.stdin)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			return
		case err != nil:
			g.stdin = nil
		default:
			g.stdin = g.stdin[n:]
		}
	}
	g.closeFD(fdStdin)
}

// read takes one bufferful from a pipe, or closes it at its end.
func (g *group) read(at int) {
	if g.fds[at].Revents&unix.POLLIN == 0 {
		g.closeFD(at) // hung up and empty
		return
	}
	n, err := unix.Read(int(g.fds[at].Fd), g.bufferFor(at))
	switch {
	case err == unix.EINTR || err == unix.EAGAIN:
	case n <= 0:
		g.closeFD(at)
	default:
		g.take(at, g.gear.buf[:n])
	}
}

func (g *group) take(at int, p []byte) {
	g.quiet.heard = true
	switch at {
	case fdStdout:
		if room := g.spec.MaxStdout - int64(len(g.exit.Stdout)); int64(len(p)) > room {
			p = p[:room]
			g.exit.StdoutTooBig = !g.exit.TimedOut && !g.exit.Cancelled
		}
		g.exit.Stdout = appendWithin(g.exit.Stdout, p, g.spec.MaxStdout)
	case fdStderr:
		if g.spec.Log != nil {
			_, _ = g.spec.Log.Write(p)
		}
	case fdEvents:
		g.takeEvents(p)
	}
}

// appendWithin is append for a slice that never gets longer than limit; it does
// not take more room than that either.
func appendWithin(s, p []byte, limit int64) []byte {
	if need := len(s) + len(p); need > cap(s) {
		s = append(make([]byte, 0, max(need, int(min(int64(2*cap(s)), limit)))), s...)
	}
	return append(s, p...)
}

// finish ends what is left of the group, reads what is left in the pipes, and
// only then reaps the leader: until then its numbers cannot be given away.
func (g *group) finish() {
	g.closeFD(fdStdin)
	g.spec.Handle.set(0, nil)
	g.still(time.Now())
	_ = unix.Kill(-g.pid, unix.SIGKILL)
	until := time.Now().Add(endFor)
	left := g.cage.end(until)
	g.exit.Escaped = max(left, sweep(g.pid, g.mark, g.cage, g.hunted, until))
	g.exit.OutOfMemory = g.cage.ranOut()
	if left > 0 {
		g.cage.discard()
		g.cage = nil
	}
	g.drain()
	g.events.close()
	g.exit.EventsDropped = g.events.dropped
	status, usage := reap(g.pid)
	leaders.remove(g.pid)
	g.exit.Code, g.exit.Signal = status.ExitStatus(), 0
	if status.Signaled() {
		g.exit.Code, g.exit.Signal = -1, status.Signal()
	}
	g.exit.CPU = time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	g.exit.MaxRSS = g.meter.result(usage)
	g.exit.Wall = time.Since(g.begun)
}

// drain reads to the end of every pipe, but not for long: somebody who ran off
// may hold one open.
func (g *group) drain() {
	g.unhold()
	g.flow.off = true
	g.fds[fdWake].Fd = -1
	g.closeFD(fdExit)
	until := time.Now().Add(waitDelay)
	for g.fds[fdStdout].Fd >= 0 || g.fds[fdStderr].Fd >= 0 || g.fds[fdEvents].Fd >= 0 {
		left := time.Until(until)
		if left <= 0 || !poll(g.fds[:], left) {
			return
		}
		g.serve()
	}
}

// reap takes the leader's exit status; it has ended or was killed.
func reap(pid int) (status unix.WaitStatus, usage unix.Rusage) {
	for {
		if _, err := unix.Wait4(pid, &status, 0, &usage); err != unix.EINTR {
			return status, usage
		}
	}
}
