// Package timespan reads time spans with days and weeks.
package timespan

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

const day = 24 * time.Hour

// Parse reads what [time.ParseDuration] reads, and also days (d) of 24 hours
// and weeks (w) of 7 days, such as "1w", "1d12h" or "1.5d". Blanks may separate the
// parts.
func Parse(text string) (time.Duration, error) {
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
