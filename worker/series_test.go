package worker

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
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
	var s series
	half := 0.5
	s.add(0, nil, map[string]float64{"n": 1})
	s.add(10*time.Millisecond, nil, map[string]float64{"n": 2}) // in the same step
	s.add(time.Second, &half, nil)
	s.add(2*time.Second, nil, map[string]float64{"m": 7})
	s.add(3*time.Second, nil, nil)
	want := jobs.JobSeries{Attempt: 3, Seconds: []float64{0.01, 1, 2}, Series: []jobs.Series{
		{Name: "progress", Points: numbers(nil, 0.5, 0.5)},
		{Name: "n", Points: numbers(2.0, 2.0, 2.0)},
		{Name: "m", Points: numbers(nil, nil, 7.0)},
	}}
	if diff := cmp.Diff(want, s.snapshot(3)); diff != "" || s.count() != 4 {
		t.Errorf("%d; %s", s.count(), diff)
	}
	if empty := new(series).snapshot(1); len(empty.Seconds)+len(empty.Series) != 0 {
		t.Errorf("%+v", empty)
	}
}

// However much is said, and for however long, what is kept is bounded, in
// order, begins at the beginning and ends with what was said last.
func TestSeriesIsBounded(t *testing.T) {
	t.Parallel()
	for _, pace := range []time.Duration{time.Microsecond, time.Millisecond, 70 * time.Millisecond, time.Second, time.Hour} {
		var s series
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
		document, err := s.document(1)
		if err != nil || len(document) > 256<<10 {
			t.Errorf("%d bytes, %v", len(document), err)
		}
	}
}

func TestSeriesIsForSeveral(t *testing.T) {
	t.Parallel()
	var s series
	var group sync.WaitGroup
	group.Go(func() {
		for i := range 5000 {
			s.add(time.Duration(i)*time.Millisecond, nil, map[string]float64{"n": float64(i)})
		}
	})
	for range 50 {
		if _, err := s.document(1); err != nil {
			t.Error(err)
		}
	}
	group.Wait()
}

// TestSeriesAreStored while the program runs and at its end, of each attempt,
// and not of one that says no number.
func TestSeriesAreStored(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	gate := filepath.Join(r.dir, "gate")
	r.install("p", `for i in 1 2 3; do echo '{"progress":0.'$i',"counters":{"<n>":'$i'}}' >&3; sleep 0.1; done
		[ $RUNNERBEAN_ATTEMPT = 2 ] || exit 1
		while [ ! -e `+gate+` ]; do sleep 0.05; done; echo '{"counters":{"<n>":9}}' >&3; echo 1`)
	r.install("silent", `echo '{"message":"hello"}' >&3; echo 1`)
	r.start()
	id, silent := r.submit(job("p")), r.submit(job("silent"))
	read := func(attempt int) (got jobs.JobSeries) {
		r.must(json.Unmarshal(r.object(store.SeriesKey(id, attempt)), &got))
		return got
	}
	last := func(s jobs.JobSeries) (values []float64) {
		for _, line := range s.Series {
			values = append(values, *line.Points[len(line.Points)-1])
		}
		return values
	}
	r.until("it is stored while the program runs", func() bool { return r.has(store.SeriesKey(id, 2)) })
	first, running := read(1), read(2)
	if len(first.Seconds) != 3 || first.Attempt != 1 || first.Series[1].Name != "<n>" || !cmp.Equal(last(first), []float64{0.3, 3}) {
		t.Errorf("%+v", first)
	}
	if running.Attempt != 2 || !cmp.Equal(last(running), []float64{0.3, 3}) {
		t.Errorf("%+v", running)
	}
	r.must(os.WriteFile(gate, nil, 0o600))
	r.await(id, jobs.Succeeded)
	if end := read(2); !cmp.Equal(last(end), []float64{0.3, 9}) {
		t.Errorf("%+v", end)
	}
	r.await(silent, jobs.Succeeded)
	if r.has(store.SeriesKey(silent, 1)) {
		t.Error("there is a series of one that said no number")
	}
	if text := string(r.object(store.SeriesKey(id, 2))); !strings.Contains(text, `"<n>"`) {
		t.Errorf("it is hard to read: %s", text)
	}
}
