package dispatch

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// The statistics of beanstalkd are texts by name, as in the commands stats,
// stats-tube and stats-job of its protocol.txt.

// integer parses a count. It returns 0 for a negative number and for no number.
func integer(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0
	}
	return max(n, 0)
}

// seconds parses a number of seconds, which may be negative.
func seconds(text string) time.Duration {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0
	}
	const most = math.MaxUint32 // the longest time that beanstalkd accepts
	return time.Duration(min(max(n, -most), most)) * time.Second
}

// unquoted removes the quotes that newer servers put around texts.
func unquoted(text string) string { return strings.Trim(text, `"`) }

// isOverdue reports whether a message is still reserved although its time to run
// has passed. While the connection of its owner is open and idle, beanstalkd 1.12
// often does not take such a message back.
func isOverdue(stats map[string]string) bool {
	return stats["state"] == "reserved" && seconds(stats["time-left"]) < 0
}
