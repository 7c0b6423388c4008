package text

import (
	"fmt"
	"strings"
	"time"
)

// Duration writes a duration with at most two units, such as "3 min 5 s". A negative
// duration is written as "0 s".
func Duration(d time.Duration) string {
	s := d.Seconds()
	switch {
	case d < 0:
		return "0 s"
	case s < 0.9995:
		return fmt.Sprintf("%.3g ms", s*1000)
	case s < 9.95:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", s), ".0") + " s"
	case s < 59.5:
		return fmt.Sprintf("%.0f s", s)
	case s < 3600-0.5:
		return units(int(s+0.5), 60, "min", "s")
	case s < 24*3600-30:
		return units(int(s+30)/60, 60, "h", "min")
	}
	return units(int((s+1800)/3600), 24, "d", "h")
}

func units(n, per int, large, small string) string {
	if n%per == 0 {
		return fmt.Sprintf("%d %s", n/per, large)
	}
	return fmt.Sprintf("%d %s %d %s", n/per, large, n%per, small)
}

// RoughDuration writes an estimated duration. It rounds, so that an estimate that is
// made again and again does not change each time.
func RoughDuration(d time.Duration) string {
	switch {
	case d < 5*time.Second:
		return "a few seconds"
	case d < time.Minute:
		return Duration(d.Round(5 * time.Second))
	case d < 10*time.Minute:
		return Duration(d.Round(10 * time.Second))
	case d < time.Hour:
		return Duration(d.Round(time.Minute))
	}
	return Duration(d.Round(10 * time.Minute))
}

// Seconds returns the duration of s seconds.
func Seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
