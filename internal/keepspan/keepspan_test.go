package keepspan_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/keepspan"
	"github.com/runnerbean/runnerbean/jobs"
)

const keepDay = jobs.Duration(24 * time.Hour)

func TestParse(t *testing.T) {
	t.Parallel()
	all := func(d jobs.Duration) jobs.Keep { return jobs.Keep{Succeeded: d, Failed: d, Cancelled: d} }
	for text, want := range map[string]jobs.Keep{
		"": {}, " ": {}, "90d": all(90 * keepDay), "forever": all(jobs.Forever), " 2w ": all(14 * keepDay),
		"succeeded=90d,failed=30d":                  {Succeeded: 90 * keepDay, Failed: 30 * keepDay},
		"cancelled=1h , succeeded = forever":        {Cancelled: jobs.Duration(time.Hour), Succeeded: jobs.Forever},
		"succeeded=1d,failed=1d,cancelled=1d":       all(keepDay),
		"failed=36h":                                {Failed: 36 * jobs.Duration(time.Hour)},
		"succeeded=90m,failed=forever,cancelled=2w": {Succeeded: jobs.Duration(90 * time.Minute), Failed: jobs.Forever, Cancelled: 14 * keepDay},
	} {
		got, err := keepspan.Parse(text)
		if err != nil || got != want {
			t.Errorf("%q is %+v, %v; want %+v", text, got, err, want)
		}
		if again, err := keepspan.Parse(got.String()); err != nil || again != want {
			t.Errorf("%q is written %q, which is %+v, %v", text, got, again, err)
		}
	}
	for _, text := range []string{"0", "0s", "-1d", "soon", "succeeded", "queued=1d", "=1d", "succeeded=", "succeeded=0", "succeeded=1d,succeeded=2d", "1d,2d", "failed=1d,", ","} {
		if got, err := keepspan.Parse(text); err == nil || !strings.Contains(err.Error(), `"30d"`) {
			t.Errorf("%q is %+v, %v", text, got, err)
		}
	}
}

func TestTheMoreSpecialKeepWins(t *testing.T) {
	t.Parallel()
	k := keepspan.Or(keepspan.Or(jobs.Keep{Failed: keepDay}, jobs.Keep{Failed: 2 * keepDay, Succeeded: jobs.Forever}), jobs.Keep{Cancelled: 3 * keepDay, Succeeded: keepDay})
	if want := (jobs.Keep{Succeeded: jobs.Forever, Failed: keepDay, Cancelled: 3 * keepDay}); k != want {
		t.Errorf("%+v, want %+v", k, want)
	}
	if keepspan.Shortest(k) != time.Duration(keepDay) || keepspan.Shortest(jobs.Keep{Failed: jobs.Forever}) != 0 || keepspan.Shortest(jobs.Keep{}) != 0 {
		t.Error("the shortest span is wrong")
	}
	if keepspan.Of(k, jobs.Failed) != keepDay || keepspan.Of(k, jobs.Queued) != 0 {
		t.Error("the span of a state is wrong")
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{"90d", "forever", "succeeded=1d,failed=2h", "failed=,", "106751d"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		k, err := keepspan.Parse(text)
		if err != nil {
			return
		}
		for _, state := range jobs.States {
			if keepspan.Of(k, state) < 0 {
				t.Errorf("%q keeps %s for %d", text, state, keepspan.Of(k, state))
			}
		}
		if again, err := keepspan.Parse(k.String()); err != nil || again != k {
			t.Errorf("%q is %+v, written %q, which is %+v, %v", text, k, k, again, err)
		}
		written, err := json.Marshal(k)
		if err != nil {
			t.Fatal(err)
		}
		var again jobs.Keep
		if err := json.Unmarshal(written, &again); (err != nil || again != k) && k != (jobs.Keep{}) {
			t.Errorf("%q is %+v, written %s, which is %+v, %v", text, k, written, again, err)
		}
	})
}
