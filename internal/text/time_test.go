package text

import (
	"strings"
	"testing"
	"time"
)

func TestParseTime(t *testing.T) {
	t.Parallel()
	east := time.FixedZone("east", 3600)
	noon := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"2026-11-01T12:00:00Z": noon, "2026-11-01T13:00:00+01:00": noon, "2026-11-01T12:00:00.000Z": noon,
		"2026-11-01": noon.Add(-13 * time.Hour), "2026-11-01 13:00": noon, "2026-11-01T13:00": noon, "2026-11-01 13:00:00": noon, " 2026-11-01T13:00:00 ": noon,
	} {
		if got, err := ParseTime(text, east); err != nil || !got.Equal(want) {
			t.Errorf("%q is %s, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "today", "11/01/2026", "2026-13-01", "2026-11-31", "1969-12-31", "2026-11-01T25:00"} {
		if got, err := ParseTime(text, east); err == nil || !strings.Contains(err.Error(), "such as 2026-11-22") {
			t.Errorf("%q is %s, %v", text, got, err)
		}
	}
}
