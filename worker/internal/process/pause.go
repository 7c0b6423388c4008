//go:build unix

package process

import "time"

// followGate pauses or resumes the program as its gate says. A program that is
// being stopped is not paused, since it would never end.
func (s *supervisor) followGate(now time.Time) {
	if s.killed {
		return
	}
	closed := s.spec.Pause.Closed() && s.killAt.IsZero()
	switch {
	case closed && s.pausedAt.IsZero():
		s.pausedAt = now
		s.descendants.freeze()
		s.spec.Handle.setPaused(true)
	case !closed:
		s.resume()
	}
}

// resume continues a paused program, and moves its deadlines by the time of the
// pause. It reads the clock because pausing may have taken a while.
func (s *supervisor) resume() {
	if s.pausedAt.IsZero() {
		return
	}
	d := time.Since(s.pausedAt)
	s.exit.Paused += d
	if !s.deadline.IsZero() {
		s.deadline = s.deadline.Add(d)
	}
	s.stall.shift(d)
	s.descendants.thaw()
	s.spec.Handle.setPaused(false)
	s.pausedAt = time.Time{}
}
