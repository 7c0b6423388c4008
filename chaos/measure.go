package main

import (
	"fmt"

	"github.com/runnerbean/runnerbean/chaos/internal/testbed"
)

// compare judges a time by another one: it may be twice as long, or so much
// longer as other work on the machine makes it at times.
func compare(bed *testbed.Testbed, what string, got, before float64) {
	// In the seconds of a short form one pause of a shared machine is a whole
	// percentile; it shows what breaks down, the full form what gets slower.
	noise := testbed.Pick(bed, 10.0, 200)
	bed.History.Measure(what+fmt.Sprintf(", or %.0f ms more)", noise), round(got), round(max(2*before, before+noise)))
}

// round to hundredths.
func round(f float64) float64 { return float64(int64(f*100+0.5)) / 100 }
