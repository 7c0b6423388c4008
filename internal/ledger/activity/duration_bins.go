package activity

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

// bins are the upper bounds of the histogram of durations: 1, 2 and 5 times each power
// of ten from a millisecond to eleven days. Longer durations have one more bin.
var bins = func() (list []time.Duration) {
	for d := time.Millisecond; d <= 1e6*time.Second; d *= 10 {
		list = append(list, d, 2*d, 5*d)
	}
	return list[:len(list)-2]
}()

// NoBin is the bin of ends that are not in the histogram.
const NoBin = -1

// BinOf returns the first bin whose bound is not below d.
func BinOf(d time.Duration) int {
	i, _ := slices.BinarySearch(bins, d)
	return i
}

var qDurations = engine.NewQuery(`SELECT bin, n, run_us FROM durations WHERE program = ? AND at >= ?
	UNION ALL SELECT bin, n, run_us FROM tallies WHERE program = ? AND at >= ? AND bin >= 0`)

// Durations returns the histogram of the run times of successes of a program, and their
// mean, since the beginning of a day in UTC. They are kept for 31 days. It leaves out
// empty bins at both ends, and returns none if there was no success.
func (c *Counters) Durations(ctx context.Context, program string, since time.Time) (list []api.Bin, mean time.Duration, err error) {
	defer c.ledger.Observe("durations", time.Now(), &err)
	from := engine.Micros(since.UTC().Truncate(day))
	counts, total, sum := make([]int64, len(bins)+1), int64(0), int64(0)
	err = c.ledger.Each(ctx, qDurations, []any{program, from, program, from}, func(r engine.Row) error {
		var bin int
		var n, run int64
		err := r.Scan(&bin, &n, &run)
		counts[min(max(bin, 0), len(bins))] += n
		total, sum = total+n, sum+run
		return err
	})
	if err != nil {
		return nil, 0, fmt.Errorf("ledger: durations: %w", err)
	}
	if total == 0 {
		return nil, 0, nil
	}
	return histogram(counts), engine.Microseconds(sum / total), nil
}

// histogram returns counts as bins without the empty ones at both ends.
func histogram(counts []int64) (list []api.Bin) {
	first := slices.IndexFunc(counts, func(n int64) bool { return n > 0 })
	for i, n := range counts {
		b := api.Bin{N: n}
		if i < len(bins) {
			b.UpTo = bins[i].Seconds()
		}
		if i >= first {
			list = append(list, b)
		}
	}
	for len(list) > 0 && list[len(list)-1].N == 0 {
		list = list[:len(list)-1]
	}
	return list
}
