package readmodel

import (
	"cmp"
	"slices"
	"time"
)

const BadRange = "is one of 15m, 1h, 6h, 24h, 7d, 30d"

// lookback is a window of time up to now.
type lookback struct {
	Name   string
	length time.Duration
	age    time.Duration // the greatest age of its answer
}

var Lookbacks = []lookback{
	{"15m", 15 * time.Minute, time.Second},
	{"1h", time.Hour, time.Second},
	{"6h", 6 * time.Hour, 2 * time.Second},
	{"24h", 24 * time.Hour, 5 * time.Second},
	{"7d", 7 * 24 * time.Hour, 15 * time.Second},
	{"30d", 30 * 24 * time.Hour, 30 * time.Second},
}

const DefaultRange = "1h"

// LookbackOf returns the window of a name; "" is [DefaultRange]. It returns false for an
// unknown name.
func LookbackOf(name string) (lookback, bool) {
	i := slices.IndexFunc(Lookbacks, func(s lookback) bool { return s.Name == cmp.Or(name, DefaultRange) })
	if i < 0 {
		return lookback{}, false
	}
	return Lookbacks[i], true
}
