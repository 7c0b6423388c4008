package batch

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/runnerbean/runnerbean/jobs"
)

// graph is a batch with random needs, some of whose frames fail.
type graph struct {
	frames []jobs.Frame
	fails  map[int]bool
}

// newGraph makes a graph. A frame needs only frames that come after it in a random order, so
// that there is no circle.
func newGraph(r *rand.Rand) graph {
	g := graph{fails: map[int]bool{}}
	numbers := r.Perm(1 + r.IntN(40))
	for i, n := range numbers {
		frame := jobs.Frame{Number: n * 3}
		for _, other := range numbers[i+1:] {
			if r.IntN(8) == 0 {
				frame.Needs = append(frame.Needs, other*3)
			}
		}
		g.frames = append(g.frames, frame)
		g.fails[frame.Number] = r.IntN(10) == 0
	}
	r.Shuffle(len(g.frames), func(i, k int) { g.frames[i], g.frames[k] = g.frames[k], g.frames[i] })
	return g
}

// states returns how each frame ends: it fails if it does itself, or if one that it needs fails.
func (g *graph) states() map[int]jobs.State {
	states := map[int]jobs.State{}
	var stateOf func(n int) jobs.State
	stateOf = func(n int) jobs.State {
		if states[n] != "" {
			return states[n]
		}
		states[n] = jobs.Succeeded
		at := slices.IndexFunc(g.frames, func(f jobs.Frame) bool { return f.Number == n })
		if g.fails[n] || slices.ContainsFunc(g.frames[at].Needs, func(need int) bool { return stateOf(need) != jobs.Succeeded }) {
			states[n] = jobs.Failed
		}
		return states[n]
	}
	for i := range g.frames {
		stateOf(g.frames[i].Number)
	}
	return states
}

// TestRandomGraphs runs batches with random needs and failures: each frame runs after those that
// it needs, all end, and their states and that of the batch are right.
func TestRandomGraphs(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.node("n1")
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 15))
		g := newGraph(r)
		want := g.states()
		f.order = nil
		f.say(func(number string) jobs.State {
			if n, err := strconv.Atoi(number); err != nil || g.fails[n] {
				return jobs.Failed
			}
			return jobs.Succeeded
		})
		b := render(g.frames)
		b.MaxRunning = r.IntN(5)
		id := f.submit(b)
		record := f.work(id)
		failed := 0
		for n, state := range want {
			frame, err := f.ledger.Get(t.Context(), jobs.FrameID(id, n))
			if err != nil || frame.State != state {
				t.Errorf("seed %d, frame %d: %s, %v, want %s", seed, n, frame.State, err, state)
			}
			if state != jobs.Succeeded {
				failed++
			}
		}
		if ended := record.State == jobs.Succeeded; ended != (failed == 0) {
			t.Errorf("seed %d: the batch is %s with %d failures", seed, record.State, failed)
		}
		g.checkOrder(t, fmt.Sprintf("seed %d", seed), id, f.order)
	}
}

// checkOrder checks that each frame that ran did so after those that it needs, and once.
func (g *graph) checkOrder(t *testing.T, name, id string, order []string) {
	t.Helper()
	for i := range g.frames {
		own := slices.Index(order, jobs.FrameID(id, g.frames[i].Number))
		for _, need := range g.frames[i].Needs {
			if before := slices.Index(order, jobs.FrameID(id, need)); own >= 0 && (before < 0 || before > own) {
				t.Errorf("%s: frame %d ran before frame %d, which it needs", name, g.frames[i].Number, need)
			}
		}
	}
	if sorted := slices.Sorted(slices.Values(order)); len(slices.Compact(sorted)) != len(order) {
		t.Errorf("%s: a frame ran twice", name)
	}
}
