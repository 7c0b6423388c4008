package readmodel

import (
	"cmp"
	"slices"
	"time"
)

const BadRange = "is one of 15m, 1h, 6h, 24h, 7d, 30d"

// lookback is a length of time that an overview may look back.
type lookback struct {
	Name   string
	length time.Duration
	age    time.Duration // how old its picture may be
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

// LookbackOf is one by its name; the default one has none.
func LookbackOf(name string) (lookback, bool) {
	i := slices.IndexFunc(Lookbacks, func(s lookback) bool { return s.Name == cmp.Or(name, DefaultRange) })
	if i < 0 {
		return lookback{}, false
	}
	return Lookbacks[i], true
}
