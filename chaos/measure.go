package main

import (
	"fmt"

	"github.com/runnerbean/runnerbean/chaos/internal/testbed"
)

// compare records a time that may be twice as long as before, or longer by the
// noise of a shared machine.
func compare(bed *testbed.Testbed, what string, got, before float64) {
	// In the seconds of a short form, one pause of the machine changes a
	// percentile. The short form finds what breaks, the full form what gets
	// slower.
	noise := testbed.Pick(bed, 10.0, 200)
	bed.History.Measure(what+fmt.Sprintf(", or %.0f ms more)", noise), round(got), round(max(2*before, before+noise)))
}

// round rounds to hundredths.
func round(f float64) float64 { return float64(int64(f*100+0.5)) / 100 }
