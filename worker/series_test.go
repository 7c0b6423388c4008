package worker

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
)

// TestSeriesAreStored checks that the series of each attempt is stored while it runs
// and at its end, and only if there are numbers.
func TestSeriesAreStored(t *testing.T) {
	t.Parallel()
	r := newFixture(t)
	gate := filepath.Join(r.dir, "gate")
	r.install("p", `for i in 1 2 3; do echo '{"progress":0.'$i',"counters":{"<n>":'$i'}}' >&3; sleep 0.1; done
		[ $RUNNERBEAN_ATTEMPT = 2 ] || exit 1
		while [ ! -e `+gate+` ]; do sleep 0.05; done; echo '{"counters":{"<n>":9}}' >&3; echo 1`)
	r.install("silent", `echo '{"message":"hello"}' >&3; echo 1`)
	r.start()
	id, silent := r.submit(job("p")), r.submit(job("silent"))
	read := func(attempt int) (got api.JobSeries) {
		r.must(json.Unmarshal(r.object(store.SeriesKey(id, attempt)), &got))
		return got
	}
	last := func(s api.JobSeries) (values []float64) {
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
