package jobs

import (
	"math"
	"time"

	"github.com/runnerbean/runnerbean/internal/timespan"
)

const day = 24 * time.Hour

// Duration is a time span that documents write as [time.Duration] does, such as "90m",
// and also in days (d) of 24 hours and weeks (w) of 7 days, such as "2d" or "1d12h".
type Duration time.Duration

// Forever is a time span that never ends, for Keep and NeedsTimeout of a [Job].
const Forever Duration = math.MaxInt64

// keepForever is how Forever is written.
const keepForever = "forever"

// MarshalText writes d as [time.Duration.String] does, and [Forever] as "forever".
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.text()), nil }

func (d Duration) text() string {
	if d == Forever {
		return keepForever
	}
	return time.Duration(d).String()
}

// UnmarshalText reads what [time.ParseDuration] reads, days and weeks such as "1w" or
// "1.5d", and "forever" as [Forever]. Blanks may separate the parts.
func (d *Duration) UnmarshalText(text []byte) error {
	if string(text) == keepForever {
		*d = Forever
		return nil
	}
	v, err := timespan.Parse(string(text))
	*d = Duration(v)
	return err
}
