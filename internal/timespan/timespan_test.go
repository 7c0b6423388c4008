package timespan_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/timespan"
)

func TestParse(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"0": 0, "0s": 0, "90s": 90 * time.Second, "1h30m": 90 * time.Minute, "1.5h": 90 * time.Minute, ".5m": 30 * time.Second,
		"2d": 2 * day, "1w": 7 * day, "1d12h": 36 * time.Hour, "1w2d3h4m5s": 9*day + 3*time.Hour + 4*time.Minute + 5*time.Second,
		"1.5d": 36 * time.Hour, "-1d": -day, "+1d": day, "1d 12h": 36 * time.Hour, " 2 d ": 2 * day, "15000w": 105000 * day, "100ms": 100 * time.Millisecond,
		"3µs": 3 * time.Microsecond,
	} {
		if got, err := timespan.Parse(text); err != nil || got != want {
			t.Errorf("%q is %s, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", " ", "d", "1", "1x", "1D", "1dd", "1d2", "1..5d", ".d", "soon", "1e3d", "--1d", "1d-1h", "99999999999999999999d", "20000w", "106752d", "1y", "NaNd", strings.Repeat("9", 400) + "d", strings.Repeat("9", 400) + ".5d"} {
		got, err := timespan.Parse(text)
		if err == nil || !strings.Contains(err.Error(), "such as 90s, 1h30m, 2d or 1w") || len(err.Error()) > 200 {
			t.Errorf("%q is %s, %v", text, got, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{"1w2d3h", "1.5d", "-0d", "106751d", "9223372036854775807ns1ns"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := timespan.Parse(text)
		if std, other := time.ParseDuration(text); other == nil && std != math.MinInt64 && (err != nil || d != std) {
			t.Errorf("%q is %s, %v; Go reads %s", text, d, err, std)
		}
		if err != nil {
			return
		}
		if again, err := timespan.Parse(d.String()); err != nil || again != d {
			t.Errorf("%q is %s, which is %s, %v", text, d, again, err)
		}
	})
}
