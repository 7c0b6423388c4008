package queue

import (
	"math"
	"time"
)

// wholeSeconds rounds up to what beanstalkd can take: go-beanstalk cuts the
// fraction off, and the server refuses more than 32 bits.
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
