package chart

import (
	"encoding/json"
	"math"
	"time"

	"github.com/runnerbean/runnerbean/publisher/internal/jsonvalue"
)

const (
	// MaxSource is the size in bytes up to which a result is searched for series.
	MaxSource = 8 << 20
	// maxSeries is how many series of one result are drawn.
	maxSeries = 4
	// plotPoints is about how many points of a series are drawn.
	plotPoints = 2000
	// minTime and maxTime bound times. They lie within the years 0001 and 9999.
	minTime, maxTime = -62135596800.0, 253402300800.0
)

// series is a time series. A missing number is NaN.
type series struct {
	name, unit   string
	x            []float64 // seconds since 1970, ascending
	y            []float64
	lower, upper []float64 // both nil where there is no interval
	offset       int       // of the series' time zone from UTC, in seconds
	every        float64   // seconds between values; zero where times are listed
}

// findSeries returns the time series in a result: the value itself, or at most
// maxSeries of its members. A time series is an object with start, interval_s and
// values, or with times and values.
func findSeries(raw json.RawMessage) []series {
	if len(raw) > MaxSource {
		return nil
	}
	top := jsonvalue.Members(raw)
	if s, ok := readSeries("", top); ok {
		return []series{s}
	}
	var found []series
	for _, m := range top {
		if s, ok := readSeries(m.Name, jsonvalue.Members(m.Value)); ok && len(found) < maxSeries {
			found = append(found, s)
		}
	}
	return found
}

// IsSeries reports whether an object with these members is a time series.
func IsSeries(members []jsonvalue.Member) bool {
	_, ok := readSeries("", members)
	return ok
}

func readSeries(name string, list []jsonvalue.Member) (series, bool) {
	m := make(map[string][]byte, len(list))
	for _, e := range list {
		m[e.Name] = e.Value
	}
	s := series{name: name, unit: jsonvalue.String(m["unit"])}
	if name == "series" {
		s.name = ""
	}
	if own := jsonvalue.String(m["name"]); own != "" {
		s.name = own
	}
	var ok bool
	if s.y, ok = numbers(m["values"]); !ok {
		return s, false
	}
	if !s.readClock(m) || !s.plottable() {
		return s, false
	}
	s.readInterval(m)
	return s, true
}

// readClock fills x from start and interval_s, or from times.
func (s *series) readClock(m map[string][]byte) bool {
	if start, offset, ok := clock(m["start"]); ok {
		every, ok := jsonvalue.Number(m["interval_s"])
		if !ok || every <= 0 {
			return false
		}
		s.offset, s.every, s.x = offset, every, make([]float64, len(s.y))
		for i := range s.x {
			s.x[i] = start + float64(i)*every
		}
		return true
	}
	times, ok := jsonvalue.Elements(m["times"])
	if !ok || len(times) != len(s.y) {
		return false
	}
	s.x = make([]float64, len(times))
	for i, t := range times {
		at, offset, ok := clock(t)
		if !ok || i > 0 && at <= s.x[i-1] {
			return false
		}
		if i == 0 {
			s.offset = offset
		}
		s.x[i] = at
	}
	return true
}

func (s *series) readInterval(m map[string][]byte) {
	lower, ok1 := numbers(m["lower"])
	upper, ok2 := numbers(m["upper"])
	if ok1 && ok2 && len(lower) == len(s.y) && len(upper) == len(s.y) {
		s.lower, s.upper = lower, upper
	}
}

// plottable reports whether there are two values at least, within times and
// numbers that an axis can hold.
func (s *series) plottable() bool {
	n := 0
	for _, v := range s.y {
		if !math.IsNaN(v) {
			n++
		}
	}
	if n < 2 {
		return false
	}
	first, last := s.x[0], s.x[len(s.x)-1]
	return first >= minTime && last < maxTime && last-first >= 1e-3
}

// clock reads a time: RFC 3339, or seconds since 1970. A time without a zone is in
// UTC. offset is that of its zone from UTC, in seconds.
func clock(raw []byte) (at float64, offset int, ok bool) {
	if v, ok := jsonvalue.Number(raw); ok {
		return v, 0, true
	}
	s := jsonvalue.String(raw)
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04", time.DateTime, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			_, offset = t.Zone()
			return float64(t.Unix()) + float64(t.Nanosecond())/1e9, offset, true
		}
	}
	return 0, 0, false
}

// numbers reads an array of numbers and nulls. A null becomes NaN.
func numbers(raw []byte) ([]float64, bool) {
	list, ok := jsonvalue.Elements(raw)
	if !ok {
		return nil, false
	}
	out := make([]float64, len(list))
	for i, e := range list {
		if string(e) == "null" {
			out[i] = math.NaN()
		} else if out[i], ok = jsonvalue.Number(e); !ok {
			return nil, false
		}
	}
	return out, true
}

// group puts series of the same unit at about the same time together.
func group(all []series) [][]series {
	var groups [][]series
next:
	for _, s := range all {
		for i, g := range groups {
			if g[0].unit == s.unit && near(g[0], s) {
				groups[i] = append(g, s)
				continue next
			}
		}
		groups = append(groups, []series{s})
	}
	return groups
}

func near(a, b series) bool {
	a0, a1, b0, b1 := a.x[0], a.x[len(a.x)-1], b.x[0], b.x[len(b.x)-1]
	gap := max(a0, b0) - min(a1, b1)
	return gap <= max(a1-a0, b1-b0)
}

// thin returns a series of about plotPoints points: the lowest and the highest of
// each bucket, so that no peak is lost. The interval covers all of its bucket.
func (s *series) thin() series {
	n := len(s.y)
	if n <= plotPoints {
		return *s
	}
	out := *s
	out.x, out.y, out.lower, out.upper = nil, nil, nil, nil
	buckets := plotPoints / 2
	for b := range buckets {
		from, to := b*n/buckets, (b+1)*n/buckets
		lo, hi := extremes(s.y, from, to)
		for _, i := range []int{min(lo, hi), max(lo, hi)} {
			out.x, out.y = append(out.x, s.x[i]), append(out.y, s.y[i])
			if s.lower != nil {
				l, _ := extremes(s.lower, from, to)
				_, u := extremes(s.upper, from, to)
				out.lower, out.upper = append(out.lower, s.lower[l]), append(out.upper, s.upper[u])
			}
		}
	}
	return out
}

// extremes returns the positions of the lowest and the highest of v[from:to]. Both
// are from where all values are missing.
func extremes(v []float64, from, to int) (lo, hi int) {
	lo, hi = from, from
	for i := from; i < to; i++ {
		if math.IsNaN(v[lo]) || v[i] < v[lo] {
			lo = i
		}
		if math.IsNaN(v[hi]) || v[i] > v[hi] {
			hi = i
		}
	}
	return lo, hi
}
