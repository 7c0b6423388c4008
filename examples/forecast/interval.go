package main

import (
	"math"
	"math/rand/v2"
	"slices"
)

const (
	// level is the probability with which a value lies in the prediction interval.
	level = 0.95
	// paths is the number of simulated futures.
	paths = 1000
)

// interval returns the limits between which each of the next values lies with the
// probability level. The model is not linear in its history, so the limits come from
// simulation. Each simulated future runs through the model with errors that the model
// made within the series. Whole seasons of errors are drawn with replacement and kept
// in phase, which preserves their distribution, their size at each time of the day and
// their dependence. The uncertainty of the parameters is not included. The seed is
// fixed, so the same input gives the same limits.
func interval(s *state, p params, errors []float64, horizon int, progress func(float64)) (lower, upper []float64) {
	random := rand.New(rand.NewPCG(1, 2003))
	blocks := blocksOf(errors, len(s.short))
	ends := make([]float64, horizon*paths) // all paths of the first step, of the second, ...
	path := s.clone()
	for k := range paths {
		path.reset(s)
		for h := 0; h < horizon; {
			for _, e := range blocks[random.IntN(len(blocks))] {
				if h == horizon {
					break
				}
				y := path.next(p) + e
				path.step(p, y)
				ends[h*paths+k] = y
				h++
			}
		}
		progress(float64(k+1) / paths)
	}
	return limits(ends, horizon)
}

func (s *state) reset(from *state) {
	short, long := s.short, s.long
	copy(short, from.short)
	copy(long, from.long)
	*s = *from
	s.short, s.long = short, long
}

// blocksOf cuts errors into whole seasons, less their mean. The seasons begin in the
// phase in which the future begins. The errors of the first seasons, in which the model
// still adapts, are left out if enough remain.
func blocksOf(errors []float64, season int) [][]float64 {
	const enough = 14
	n := len(errors) / season
	if settling := n / 4; n-settling >= enough {
		n -= settling
	}
	used := errors[len(errors)-n*season:]
	centre := mean(used)
	blocks := make([][]float64, n)
	for i := range blocks {
		for _, e := range used[i*season : (i+1)*season] {
			blocks[i] = append(blocks[i], e-centre)
		}
	}
	return blocks
}

func limits(ends []float64, horizon int) (lower, upper []float64) {
	tail := int(math.Round((1 - level) / 2 * paths))
	for h := range horizon {
		at := ends[h*paths : (h+1)*paths]
		slices.Sort(at)
		lower = append(lower, at[tail])
		upper = append(upper, at[paths-1-tail])
	}
	return lower, upper
}
