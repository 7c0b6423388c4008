package counting

import (
	"fmt"
	"io"
	"math"

	"github.com/runnerbean/runnerbean/internal/logtext"
)

const (
	maxName = 64 // of a counter, in bytes
	// maxCounters is how many counters of one attempt are looked at.
	maxCounters = 64
	// maxGrowth is the greatest growth between two events that is counted. Sums of what is
	// below stay finite.
	maxGrowth = 1e15
)

// Attempt finds out how far the counters of one attempt grow. One goroutine uses it.
type Attempt struct {
	counting *Counting
	program  string
	restored bool
	log      io.Writer
	values   map[string]float64
	refused  bool
}

// Attempt returns the counters of a new attempt. With restored, the program goes on from a
// checkpoint: the first value of a counter is where it starts from, and not 0. log gets a line
// if there are too many counters.
func (c *Counting) Attempt(program string, restored bool, log io.Writer) *Attempt {
	return &Attempt{counting: c, program: program, restored: restored, log: log}
}

// Take takes the counters of an event. A value below the one before has started again at 0.
func (a *Attempt) Take(values map[string]float64) {
	for name, value := range values {
		if math.IsNaN(value) || math.IsInf(value, 0) {
			continue
		}
		name = logtext.Clean(name, maxName)
		before, known := a.values[name]
		if !known && len(a.values) >= maxCounters {
			continue
		}
		if a.values == nil {
			a.values = map[string]float64{}
		}
		a.values[name] = value
		growth := value - before
		switch {
		case !known && a.restored:
			growth = 0
		case value < before:
			growth = value
		}
		if growth > 0 && growth <= maxGrowth && !a.counting.add(a.program, name, growth) && !a.refused {
			a.refused = true
			fmt.Fprintf(a.log, "runnerbean: the program has more than %d counters; the others are not added up over time\n", MaxNames)
		}
	}
}
