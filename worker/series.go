package worker

import (
	"bytes"
	"encoding/json"
	"sync"
	"time"

	"github.com/runnerbean/runnerbean/jobs"
)

const (
	// seriesPoints is how many points are kept of one attempt: when there would
	// be more, two become one and each stands for twice the time.
	seriesPoints = 240
	// seriesCounters is how many counters are kept over time, those that come
	// first.
	seriesCounters = 16
	// seriesStep is the shortest time between two points.
	seriesStep = 50 * time.Millisecond

	progressSeries = "progress"
)

// series is what a program said of its progress and its counters over time. The
// zero value is ready for use; all methods may be called at the same time.
type series struct {
	mu     sync.Mutex
	step   time.Duration
	names  []string // of counters
	points []point
	said   int // times so far
}

// point is what was known at a time. What was said last in a step counts.
type point struct {
	at     time.Duration // since the start of the attempt
	known  [1 + seriesCounters]bool
	values [1 + seriesCounters]float64 // progress, then the counters
}

// add notes what was said at a time, which is not before that of the last call.
func (s *series) add(at time.Duration, progress *float64, counters map[string]float64) {
	if progress == nil && len(counters) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.said++
	p := s.point(max(at, 0))
	if progress != nil {
		p.known[0], p.values[0] = true, *progress
	}
	for name, value := range counters {
		if i := s.index(clean(name, maxCounterName)); i > 0 {
			p.known[i], p.values[i] = true, value
		}
	}
}

// point is the one for a time: the last, or a new one that begins as the last.
func (s *series) point(at time.Duration) *point {
	if s.step == 0 {
		s.step = seriesStep
	}
	n := len(s.points)
	if n > 0 && s.points[n-1].at/s.step == at/s.step {
		s.points[n-1].at = at
		return &s.points[n-1]
	}
	for n == seriesPoints {
		s.thin()
		n = len(s.points)
	}
	var p point
	if n > 0 {
		p = s.points[n-1]
	}
	p.at = at
	s.points = append(s.points, p)
	return &s.points[n]
}

// thin doubles the step and keeps the last point of each.
func (s *series) thin() {
	s.step *= 2
	kept := s.points[:0]
	for i, p := range s.points {
		if i+1 == len(s.points) || s.points[i+1].at/s.step != p.at/s.step {
			kept = append(kept, p)
		}
	}
	s.points = kept
}

// index is where the values of a counter are; 0 where there is no more room.
func (s *series) index(name string) int {
	for i, known := range s.names {
		if known == name {
			return 1 + i
		}
	}
	if len(s.names) == seriesCounters {
		return 0
	}
	s.names = append(s.names, name)
	return len(s.names)
}

// count is how often anything was said; 0 means that there is nothing to keep.
func (s *series) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.said
}

// snapshot is what is known now.
func (s *series) snapshot(attempt int) jobs.JobSeries {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := jobs.JobSeries{Attempt: attempt, Seconds: make([]float64, len(s.points))}
	for i, p := range s.points {
		out.Seconds[i] = p.at.Round(time.Millisecond).Seconds()
	}
	for i, name := range append([]string{progressSeries}, s.names...) {
		line := jobs.Series{Name: name, Points: make([]*float64, len(s.points))}
		known := false
		for j := range s.points {
			if p := &s.points[j]; p.known[i] {
				line.Points[j], known = new(p.values[i]), true
			}
		}
		if known {
			out.Series = append(out.Series, line)
		}
	}
	return out
}

// document is the snapshot as it is stored.
func (s *series) document(attempt int) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(s.snapshot(attempt))
	return b.Bytes(), err
}
