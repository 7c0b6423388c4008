package activity

import (
	"slices"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

// grain is a length of steps in which ends are counted.
type grain struct {
	seconds int64
	span    time.Duration // the longest history that is shown in it
	keep    time.Duration
}

// grains are all grains, the finest first. The last span is the longest history.
var grains = []grain{
	{60, 6 * time.Hour, 26 * time.Hour},
	{600, 3 * 24 * time.Hour, 8 * 24 * time.Hour},
	{7200, 31 * 24 * time.Hour, 31 * 24 * time.Hour},
}

func (g grain) step() time.Duration { return time.Duration(g.seconds) * time.Second }

func grainOf(span time.Duration) grain {
	i := slices.IndexFunc(grains, func(g grain) bool { return span <= g.span+g.step() })
	if i < 0 {
		i = len(grains) - 1
	}
	return grains[i]
}

// minute returns the beginning of the minute of a time, in microseconds.
func minute(t time.Time) int64 { return engine.Micros(t.Truncate(time.Minute)) }
