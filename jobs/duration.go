package jobs

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

const day = 24 * time.Hour

// Duration is a duration in the notation that [ParseDuration] reads, such as
// "90m" or "2d".
type Duration time.Duration

// Forever is a time span that never ends, for Keep and NeedsTimeout of a [Job].
const Forever Duration = math.MaxInt64

// keepForever is how Forever is written.
const keepForever = "forever"

// MarshalText writes d as [time.Duration.String] does, and [Forever] as "forever".
func (d Duration) MarshalText() ([]byte, error) {
	if d == Forever {
		return []byte(keepForever), nil
	}
	return []byte(time.Duration(d).String()), nil
}

// UnmarshalText is [ParseDuration], and reads "forever" as [Forever].
func (d *Duration) UnmarshalText(text []byte) error {
	if string(text) == keepForever {
		*d = Forever
		return nil
	}
	v, err := ParseDuration(string(text))
	*d = Duration(v)
	return err
}

// ParseDuration reads what [time.ParseDuration] reads, and also days (d) of 24 hours
// and weeks (w) of 7 days, such as "1w", "1d12h" or "1.5d". Blanks may separate the
// parts.
func ParseDuration(text string) (time.Duration, error) {
	d, err := parseSpan(strings.Join(strings.Fields(text), ""))
	if err != nil {
		return 0, fmt.Errorf("%.70q is no time span such as 90s, 1h30m, 2d or 1w", text)
	}
	return d, nil
}

var errSpan = errors.New("no time span")

func parseSpan(s string) (time.Duration, error) {
	sign := time.Duration(1)
	switch {
	case strings.HasPrefix(s, "-"):
		sign, s = -1, s[1:]
	case strings.HasPrefix(s, "+"):
		s = s[1:]
	}
	if s == "0" {
		return 0, nil
	}
	if s == "" {
		return 0, errSpan
	}
	var sum time.Duration
	for s != "" {
		n := strings.IndexFunc(s, func(r rune) bool { return r != '.' && (r < '0' || r > '9') })
		if n <= 0 {
			return 0, errSpan
		}
		number, rest := s[:n], s[n:]
		unit := rest
		if end := strings.IndexAny(rest, ".0123456789"); end >= 0 {
			unit = rest[:end]
		}
		s = rest[len(unit):]
		d, err := part(number, unit)
		if err != nil || d > math.MaxInt64-sum {
			return 0, errSpan
		}
		sum += d
	}
	return sign * sum, nil
}

// part is one number with its unit.
func part(number, unit string) (time.Duration, error) {
	size := day
	switch unit {
	case "w":
		size = 7 * day
	case "d":
	default:
		return time.ParseDuration(number + unit)
	}
	if n, err := strconv.ParseInt(number, 10, 64); err == nil {
		if n > int64(math.MaxInt64/size) {
			return 0, errSpan
		}
		return time.Duration(n) * size, nil
	}
	f, err := strconv.ParseFloat(number, 64)
	if err != nil || f*float64(size) >= math.MaxInt64 {
		return 0, errSpan
	}
	return time.Duration(math.Round(f * float64(size))), nil
}

// timeForms are what ParseTime reads beside RFC 3339.
var timeForms = []string{time.DateOnly, "2006-01-02T15:04", "2006-01-02T15:04:05", "2006-01-02 15:04", time.DateTime}

// ParseTime reads a time in RFC 3339, or a date with or without a time of day in the
// location where.
func ParseTime(text string, where *time.Location) (time.Time, error) {
	text = strings.TrimSpace(text)
	at, err := time.Parse(time.RFC3339, text)
	for _, form := range timeForms {
		if err == nil {
			break
		}
		at, err = time.ParseInLocation(form, text, where)
	}
	if err != nil || at.Year() < 1970 || at.Year() > 9999 {
		return time.Time{}, fmt.Errorf("%.70q is no date or time such as 2026-11-22 or 2026-11-22T06:16:00Z", text)
	}
	return at, nil
}
