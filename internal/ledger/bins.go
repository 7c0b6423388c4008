package ledger

import (
	"slices"
	"time"
)

// bins are the upper ends of the histogram of durations: 1, 2 and 5 times each
// power of ten from a millisecond to eleven days. What is longer has the bin
// after the last.
var bins = func() (list []time.Duration) {
	for d := time.Millisecond; d <= 1e6*time.Second; d *= 10 {
		list = append(list, d, 2*d, 5*d)
	}
	return list
}()

// noBin is for ends that are not in the histogram.
const noBin = -1

// binOf is the first bin whose end is not below d.
func binOf(d time.Duration) int {
	i, _ := slices.BinarySearch(bins, d)
	return i
}
