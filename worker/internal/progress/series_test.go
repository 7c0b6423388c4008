package progress

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/api"
)

func numbers(values ...any) []*float64 {
	var list []*float64
	for _, v := range values {
		switch v := v.(type) {
		case float64:
			list = append(list, &v)
		default:
			list = append(list, nil)
		}
	}
	return list
}

func TestSeries(t *testing.T) {
	t.Parallel()
	var s Series
	half := 0.5
	s.add(0, nil, map[string]float64{"n": 1})
	s.add(10*time.Millisecond, nil, map[string]float64{"n": 2}) // in the same step
	s.add(time.Second, &half, nil)
	s.add(2*time.Second, nil, map[string]float64{"m": 7})
	s.add(3*time.Second, nil, nil)
	want := api.JobSeries{Attempt: 3, Seconds: []float64{0.01, 1, 2}, Series: []api.Series{
		{Name: "progress", Points: numbers(nil, 0.5, 0.5)},
		{Name: "n", Points: numbers(2.0, 2.0, 2.0)},
		{Name: "m", Points: numbers(nil, nil, 7.0)},
	}}
	if diff := cmp.Diff(want, s.snapshot(3)); diff != "" || s.Count() != 4 {
		t.Errorf("%d; %s", s.Count(), diff)
	}
	if empty := new(Series).snapshot(1); len(empty.Seconds)+len(empty.Series) != 0 {
		t.Errorf("%+v", empty)
	}
}

// TestSeriesIsBounded checks that a series is bounded and in order, and has the first
// and the last time, however many events there are.
func TestSeriesIsBounded(t *testing.T) {
	t.Parallel()
	for _, pace := range []time.Duration{time.Microsecond, time.Millisecond, 70 * time.Millisecond, time.Second, time.Hour} {
		var s Series
		var at time.Duration
		var last float64
		for i := range 20000 {
			at += time.Duration(rand.Int64N(int64(2*pace))) + 1
			last = float64(i)
			s.add(at, nil, map[string]float64{"n": last, fmt.Sprint("c", i%100): 1})
		}
		got := s.snapshot(1)
		n := len(got.Seconds)
		if n > seriesPoints || at > 20*time.Second && n < seriesPoints/3 || len(got.Series) > seriesCounters || s.names[0] == "" {
			t.Errorf("pace %s: %d points of %d series", pace, n, len(got.Series))
		}
		for i := 1; i < n; i++ {
			if got.Seconds[i] < got.Seconds[i-1] {
				t.Fatalf("pace %s: point %d is before the one before", pace, i)
			}
		}
		if end := got.Seconds[n-1]; end != at.Round(time.Millisecond).Seconds() || got.Seconds[0] > at.Seconds()/10+0.05 {
			t.Errorf("pace %s: from %v to %v of %s", pace, got.Seconds[0], end, at)
		}
		i := 0
		for got.Series[i].Name != "n" {
			i++
		}
		if v := got.Series[i].Points[n-1]; v == nil || *v != last {
			t.Errorf("pace %s: it does not end with what was said last", pace)
		}
		document, err := s.Document(1)
		if err != nil || len(document) > 256<<10 {
			t.Errorf("%d bytes, %v", len(document), err)
		}
	}
}

func TestSeriesIsForSeveral(t *testing.T) {
	t.Parallel()
	var s Series
	var group sync.WaitGroup
	group.Go(func() {
		for i := range 5000 {
			s.add(time.Duration(i)*time.Millisecond, nil, map[string]float64{"n": float64(i)})
		}
	})
	for range 50 {
		if _, err := s.Document(1); err != nil {
			t.Error(err)
		}
	}
	group.Wait()
}
