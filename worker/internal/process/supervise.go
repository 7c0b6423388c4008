//go:build unix

package process

import (
	"context"
	"time"

	"golang.org/x/sys/unix"
)

// supervise serves the program until its first process has ended.
func (s *supervisor) supervise(ctx context.Context) {
	for !s.step(ctx) {
	}
}

// step waits for the next thing to do and does it. It reports whether the first process
// has ended.
func (s *supervisor) step(ctx context.Context) (exited bool) {
	now := time.Now()
	s.followGate(now)
	s.check(ctx, now)
	if s.memory.sample(s.pid, now) == 1 {
		s.limits.setAll(s.descendants.pids)
	}
	s.pipes.resumeEvents(now)
	return s.pipes.serve(s.untilNext(now))
}

// check stops the program if there is a reason to, and kills it if that did not
// help.
func (s *supervisor) check(ctx context.Context, now time.Time) {
	switch {
	case s.killed:
	case s.spec.Kill != nil && s.spec.Kill.Err() != nil:
		s.exit.Killed = true
		s.kill()
	case !s.killAt.IsZero():
		if !now.Before(s.killAt) {
			s.kill()
		}
	case s.shouldStop(ctx, now):
		s.terminate(now)
	}
}

// shouldStop looks for a reason to stop the program, and notes it.
func (s *supervisor) shouldStop(ctx context.Context, now time.Time) bool {
	if s.pipes.active {
		s.stall.active, s.pipes.active = true, false
	}
	switch {
	case s.pipes.tooBig:
		s.exit.StdoutTooBig = true
	case ctx.Err() != nil:
		s.exit.Cancelled = true
	case !s.pausedAt.IsZero():
		return false
	case !s.deadline.IsZero() && !now.Before(s.deadline):
		s.exit.TimedOut = true
	case s.stall.stalled(now, s.descendants.cpu):
		s.exit.Stalled = true
	default:
		return false
	}
	return true
}

// terminate asks the program to end. A stopped process receives SIGTERM when it
// continues.
func (s *supervisor) terminate(now time.Time) {
	s.memory.look(s.pid)
	s.killAt = now.Add(s.spec.Grace)
	s.signal(unix.SIGTERM)
	s.resume()
	s.signal(unix.SIGCONT)
}

// untilNext returns how long the loop may sleep; negative is without end.
func (s *supervisor) untilNext(now time.Time) time.Duration {
	var next time.Time
	for _, at := range [...]time.Time{s.nextCheck(), s.memory.next, s.pipes.flow.resume} {
		if !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	if next.IsZero() {
		return -1
	}
	return max(0, next.Sub(now))
}

// nextCheck returns when check has to be called next if nothing else happens;
// zero is never.
func (s *supervisor) nextCheck() time.Time {
	switch {
	case s.killed:
		return time.Time{}
	case !s.killAt.IsZero():
		return s.killAt
	case !s.pausedAt.IsZero():
		return time.Time{}
	case !s.stall.next.IsZero() && (s.deadline.IsZero() || s.stall.next.Before(s.deadline)):
		return s.stall.next
	}
	return s.deadline
}

// finish ends the descendants, reads what is left in the pipes, and then reaps
// the leader. Until then no other process can get the number of the group.
func (s *supervisor) finish() {
	s.pipes.closeInput()
	s.pipes.close(fdStdin)
	s.spec.Handle.set(nil)
	if !s.pausedAt.IsZero() {
		s.exit.Paused += time.Since(s.pausedAt)
	}
	_ = unix.Kill(-s.pid, unix.SIGKILL)
	s.exit.Escaped = s.descendants.end(time.Now().Add(killTimeout))
	s.exit.OutOfMemory = s.descendants.outOfMemory()
	s.pipes.drain()
	status, usage := reap(s.pid)
	s.exit.Code, s.exit.Signal = status.ExitStatus(), 0
	if status.Signaled() {
		s.exit.Code, s.exit.Signal = -1, status.Signal()
	}
	s.exit.Stdout = s.pipes.stdout
	s.exit.StdoutTooBig = s.pipes.tooBig && !s.exit.TimedOut && !s.exit.Stalled && !s.exit.Cancelled
	s.exit.EventsDropped = s.pipes.events.dropped
	s.exit.CPU = time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	s.exit.MaxRSS = s.memory.result(usage)
	s.exit.Wall = time.Since(s.begun)
}
