package main

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// span is one job that has parsed a part.
type span struct {
	Worker            string
	Started, Finished time.Time
	Records           int64
}

// worker is what one node has parsed.
type worker struct {
	Worker  string  `json:"worker"`
	Chunks  int     `json:"chunks"`
	Records int64   `json:"records"`
	Seconds float64 `json:"seconds"` // in which it had at least one of the jobs
	Rate    float64 `json:"records_per_second"`
}

// workers adds up what each node has parsed, by name.
func workers(spans []span) (list []worker) {
	by := map[string][]span{}
	for _, s := range spans {
		by[s.Worker] = append(by[s.Worker], s)
	}
	for name, of := range by {
		w := worker{Worker: name, Chunks: len(of)}
		for _, s := range of {
			w.Records += s.Records
		}
		if took := busy(of).Seconds(); took > 0 {
			w.Seconds, w.Rate = math.Round(took*1000)/1000, math.Round(float64(w.Records)/took)
		}
		list = append(list, w)
	}
	slices.SortFunc(list, func(a, b worker) int { return cmp.Compare(a.Worker, b.Worker) })
	return list
}

// busy returns how long at least one of the jobs ran: a node has several slots.
func busy(spans []span) (sum time.Duration) {
	slices.SortFunc(spans, func(a, b span) int { return a.Started.Compare(b.Started) })
	var end time.Time
	for _, s := range spans {
		from := s.Started
		if from.Before(end) {
			from = end
		}
		if s.Finished.After(from) {
			sum += s.Finished.Sub(from)
			end = s.Finished
		}
	}
	return sum
}

// rates returns the records per second of one worker in n equal intervals of [from, to). The
// records of a job count evenly over the time that it ran.
func rates(spans []span, name string, from, to time.Time, n int) []float64 {
	list := make([]float64, n)
	width := to.Sub(from).Seconds() / float64(n)
	for _, s := range spans {
		length := s.Finished.Sub(s.Started).Seconds()
		if s.Worker != name || length <= 0 || width <= 0 {
			continue
		}
		start, end := s.Started.Sub(from).Seconds(), s.Finished.Sub(from).Seconds()
		for i := max(0, int(start/width)); i < n && float64(i)*width < end; i++ {
			part := min(end, float64(i+1)*width) - max(start, float64(i)*width)
			list[i] += max(0, part) / length * float64(s.Records) / width
		}
	}
	return list
}
