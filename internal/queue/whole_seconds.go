package queue

import (
	"math"
	"time"
)

// wholeSeconds rounds d up to whole seconds, at most 32 bits of them. go-beanstalk drops
// the fraction, and beanstalkd refuses more than 32 bits.
func wholeSeconds(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	seconds := d / time.Second
	if d%time.Second != 0 {
		seconds++
	}
	return min(seconds, math.MaxUint32) * time.Second
}
