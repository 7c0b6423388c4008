package queue

import (
	"container/heap"
	"fmt"
	"slices"
	"testing"
	"time"
)

// model is a server whose clock the test turns.
type model struct {
	away  time.Duration // added to every answer
	each  time.Duration // for one answer after the other
	lines int           // on so many connections; 0 if there is no limit
	busy  []time.Duration
}

// answer returns when a put that is sent now is answered.
func (m *model) answer(now time.Duration) time.Duration {
	if m.lines == 0 {
		return now + m.away
	}
	m.busy = append(m.busy, make([]time.Duration, m.lines-min(m.lines, len(m.busy)))...)[:m.lines]
	line := 0
	for i, free := range m.busy {
		if free < m.busy[line] {
			line = i
		}
	}
	m.busy[line] = max(m.busy[line], now) + m.each
	return m.busy[line] + m.away
}

// flight is a put on its way.
type flight struct {
	sent, answered time.Duration
	depth          int
}

type flights []flight

func (f flights) Len() int           { return len(f) }
func (f flights) Less(i, j int) bool { return f[i].answered < f[j].answered }
func (f flights) Swap(i, j int)      { f[i], f[j] = f[j], f[i] }
func (f *flights) Push(x any)        { *f = append(*f, x.(flight)) }
func (f *flights) Pop() any {
	last := (*f)[len(*f)-1]
	*f = (*f)[:len(*f)-1]
	return last
}

// callers is how many puts are waiting at any time.
const callers = 200

// saturate sends as much as the load allows until a time. It returns how many puts were
// answered in each of the last seconds, and the longest round trip of them.
func saturate(l *load, m *model, sent *flights, now, until time.Duration) (rate float64, longest time.Duration) {
	const last = 5 * time.Second
	answers := 0
	for now < until {
		for sent.Len() < min(callers, l.limit()) {
			heap.Push(sent, flight{now, m.answer(now), sent.Len() + 1})
		}
		f := heap.Pop(sent).(flight)
		now = max(now, f.answered)
		l.answered(now-f.sent, f.depth)
		if now > until-last {
			answers++
			longest = max(longest, now-f.sent)
		}
	}
	return float64(answers) / last.Seconds(), longest
}

// Whatever a server is like, and was like before, the load finds within seconds how many
// puts in flight keep it busy, and not many more.
func TestLoadFollowsTheServer(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	models := map[string]model{
		"each connection slow": {each: 50 * ms, lines: 8},
		"slower":               {each: 200 * ms, lines: 8},
		"all slow":             {each: 50 * ms, lines: 1},
		"far":                  {away: 50 * ms},
		"farther":              {away: 200 * ms},
		"far and slow":         {away: 50 * ms, each: 10 * ms, lines: 8},
		"near":                 {away: 300 * time.Microsecond, each: 200 * time.Microsecond, lines: 1},
	}
	for before, a := range models {
		for after, b := range models {
			t.Run(before+" to "+after, func(t *testing.T) {
				t.Parallel()
				a, b := a, b
				var l load
				var sent flights
				const first, second = 5 * time.Second, 30 * time.Second
				saturate(&l, &a, &sent, 0, first)
				b.busy = slices.Repeat([]time.Duration{first}, b.lines)
				rate, longest := saturate(&l, &b, &sent, first, first+second)
				possible := callers / (b.away + b.each).Seconds()
				if b.each > 0 {
					possible = min(possible, float64(b.lines)/b.each.Seconds())
				}
				if rate < 0.9*possible {
					t.Errorf("%.0f answers in a second of %.0f: %+v", rate, possible, l)
				}
				if most := max(standing, 4*(b.away+b.each)) * 3; longest > most {
					t.Errorf("a round trip of %v, at most %v is useful: %+v", longest, most, l)
				}
			})
		}
	}
}

// A wait that was long once is tried again, so that no caller is refused for ever.
func TestLoadForgets(t *testing.T) {
	t.Parallel()
	for _, depth := range []int{1, 2, 8} {
		t.Run(fmt.Sprint(depth), func(t *testing.T) {
			t.Parallel()
			var l load
			for range 100 {
				l.answered(5*time.Second, 24)
			}
			tries := 0
			for ; l.wait(depth) > time.Second; tries++ {
				l.answered(10*time.Millisecond, min(depth, l.limit()))
			}
			if tries > 100 {
				t.Errorf("after %d answers: %+v", tries, l)
			}
		})
	}
}
