package progress

import (
	"sync"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/logtext"
	"github.com/runnerbean/runnerbean/worker/internal/strictjson"
)

const (
	// seriesPoints bounds the points of one attempt. If there would be more, the time
	// between two points doubles.
	seriesPoints = 240
	// seriesCounters bounds the counters. The first ones are kept.
	seriesCounters = 16
	// seriesStep is the shortest time between two points.
	seriesStep = 50 * time.Millisecond

	progressSeries = "progress"
)

// Series is the progress and the counters of a program over time. The zero value is
// empty. All methods may be called at the same time.
type Series struct {
	mu     sync.Mutex
	step   time.Duration
	names  []string // of counters
	points []point
	added  int // calls of add with a number
}

// point is what was known at one time. In a step the last event counts.
type point struct {
	at     time.Duration // since the start of the attempt
	known  [1 + seriesCounters]bool
	values [1 + seriesCounters]float64 // progress, then the counters
}

// add adds what was said at a time, which is not before that of the last call.
func (s *Series) add(at time.Duration, progress *float64, counters map[string]float64) {
	if progress == nil && len(counters) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.added++
	p := s.point(max(at, 0))
	if progress != nil {
		p.known[0], p.values[0] = true, *progress
	}
	for name, value := range counters {
		if i := s.index(logtext.Clean(name, maxCounterName)); i > 0 {
			p.known[i], p.values[i] = true, value
		}
	}
}

// point returns the point for a time: the last one, or a new copy of it.
func (s *Series) point(at time.Duration) *point {
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
func (s *Series) thin() {
	s.step *= 2
	kept := s.points[:0]
	for i, p := range s.points {
		if i+1 == len(s.points) || s.points[i+1].at/s.step != p.at/s.step {
			kept = append(kept, p)
		}
	}
	s.points = kept
}

// index returns the index of a counter in the points; 0 if there is no more room.
func (s *Series) index(name string) int {
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

// Count returns the number of events with a number so far.
func (s *Series) Count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.added
}

// snapshot returns all points.
func (s *Series) snapshot(attempt int) api.JobSeries {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := api.JobSeries{Attempt: attempt, Seconds: make([]float64, len(s.points))}
	for i, p := range s.points {
		out.Seconds[i] = p.at.Round(time.Millisecond).Seconds()
	}
	for i, name := range append([]string{progressSeries}, s.names...) {
		line := api.Series{Name: name, Points: make([]*float64, len(s.points))}
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

// Document returns the points as they are stored: a api.JobSeries in JSON.
func (s *Series) Document(attempt int) ([]byte, error) {
	document, err := strictjson.Marshal(s.snapshot(attempt))
	return append(document, '\n'), err
}
