package scheduler

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// start takes one turn of one of the programs that have jobs, the first of which has the
// oldest message, and claims the job.
func start(s *Scheduler, weights map[string]int, oldest string) string {
	turn := s.Next(oldest, weights[oldest], 1)
	turn.Claimed()
	return turn.Program
}

// TestTurnsFollowTheWeights counts the starts of programs that always have jobs.
func TestTurnsFollowTheWeights(t *testing.T) {
	t.Parallel()
	weights := map[string]int{"a": 1, "b": 3, "c": 1000}
	s := New()
	var due []Due
	for name, weight := range weights {
		due = append(due, Due{Program: name, Weight: weight, Priority: 1})
	}
	s.Looked(due)
	got := map[string]int{}
	const rounds = 5
	for range rounds * (1 + 3 + 1000) {
		got[start(s, weights, "c")]++
	}
	if diff := cmp.Diff(map[string]int{"a": rounds, "b": 3 * rounds, "c": 1000 * rounds}, got); diff != "" {
		t.Error(diff)
	}
}

// TestIdleTimeEarnsNothing lets a program start many jobs alone. Another one that comes then
// gets a turn at once and no more than its turns.
func TestIdleTimeEarnsNothing(t *testing.T) {
	t.Parallel()
	s := New()
	weights := map[string]int{"a": 1, "b": 1}
	for range 10_000 {
		start(s, weights, "a")
	}
	s.Looked([]Due{{"a", 1, 1}, {"b", 1, 1}})
	var got string
	for range 6 {
		got += start(s, weights, "a")
	}
	if got != "bababa" {
		t.Errorf("started %s", got)
	}
}

// TestTurnsThatStartNoJob checks that a turn counts once it is claimed, and that turns under
// way are not given twice.
func TestTurnsThatStartNoJob(t *testing.T) {
	t.Parallel()
	s := New()
	due := []Due{{"a", 1, 1}, {"b", 1, 1}}
	s.Looked(due)
	first, second := s.Next("a", 1, 1), s.Next("a", 1, 1)
	if first.Program != "a" || second.Program != "b" {
		t.Errorf("turns of %s and %s", first.Program, second.Program)
	}
	first.Claimed()
	second.Passed()
	second.Claimed() // changes nothing
	if third := s.Next("a", 1, 1); third.Program != "a" {
		t.Errorf("a turn of %s, which has just passed", third.Program)
	} else {
		third.Claimed()
	}
	s.Looked(due)
	if fourth := s.Next("a", 1, 1); fourth.Program != "b" {
		t.Errorf("a turn of %s instead of the one that passed", fourth.Program)
	}
}

// TestFoundProgram takes the turn of a program that had no jobs at the last look.
func TestFoundProgram(t *testing.T) {
	t.Parallel()
	s := New()
	s.Looked([]Due{{"a", 1, 1}, {"b", 1, 1}})
	wrong := s.Next("a", 1, 1)
	wrong.GivenBack()
	s.Found("c", 1, 1).Claimed()
	turn := s.Next("a", 1, 1)
	others := turn.Others()
	slices.Sort(others)
	if diff := cmp.Diff([]string{"b", "c"}, others); turn.Program != "a" || diff != "" {
		t.Errorf("the turn of %s, beside %v", turn.Program, others)
	}
}

// TestLessUrgentProgramsTakeNoTurn checks that jobs of less urgent priorities do not share.
func TestLessUrgentProgramsTakeNoTurn(t *testing.T) {
	t.Parallel()
	s := New()
	s.Looked([]Due{{"a", 1, 5}, {"b", 1, 9}})
	for range 3 {
		turn := s.Next("a", 1, 5)
		if turn.Program != "a" {
			t.Errorf("a turn of %s", turn.Program)
		}
		turn.Claimed()
	}
	if turn := s.Next("a", 1, 9); turn.Program != "b" {
		t.Errorf("a turn of %s", turn.Program)
	}
}

// TestLooksAreFew checks how many turns and how much time pass until the next look.
func TestLooksAreFew(t *testing.T) {
	t.Parallel()
	s := New()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	looks := 0
	turns := func(n int, programs int) {
		for range n {
			if s.Look(now) {
				looks++
				var due []Due
				for i := range programs {
					due = append(due, Due{fmt.Sprint(i), 1, 1})
				}
				s.Looked(due)
			}
			s.Take("0", 1).Claimed()
		}
	}
	turns(10*lookAfter, 1)
	if looks != 10 {
		t.Errorf("%d looks in %d turns", looks, 10*lookAfter)
	}
	looks = 0
	turns(1000, 100)
	if looks > 12 {
		t.Errorf("%d looks in 1000 turns of 100 programs", looks)
	}
	now = now.Add(lookEvery)
	if !s.Look(now) || s.Look(now) {
		t.Error("not one look after a long time")
	}
}

// TestProgramsAreForgotten bounds the memory for names that come and go.
func TestProgramsAreForgotten(t *testing.T) {
	t.Parallel()
	s := New()
	for i := range 5 * maxIdle {
		s.Looked([]Due{{fmt.Sprint(i), 1, 1}})
	}
	if len(s.programs) > maxIdle+1 {
		t.Errorf("%d programs are kept", len(s.programs))
	}
}

// level is the jobs of one program with one priority.
type level struct {
	program  int
	priority uint32
}

// pool is a model of a node: queues of jobs, and executors that hold turns.
type pool struct {
	s       *Scheduler
	weights []int
	ready   map[level]int // jobs with messages that nobody holds
	flying  []flight
	at      time.Time
	// others counts the starts of other programs since a level last got or passed a turn,
	// while it was ready all the time.
	others map[level]int
	most   int // executors
}

// flight is a turn under way.
type flight struct {
	turn *Turn
	level
}

func name(i int) string { return fmt.Sprint("p", i) }

// urgent returns the most urgent priority with a ready job, if there is one.
func (p *pool) urgent() (best uint32, found bool) {
	for l, n := range p.ready {
		if n > 0 && (!found || l.priority < best) {
			best, found = l.priority, true
		}
	}
	return best, found
}

// look tells the scheduler which programs have jobs.
func (p *pool) look() {
	heads := map[int]uint32{}
	for l, n := range p.ready {
		if head, ok := heads[l.program]; n > 0 && (!ok || l.priority < head) {
			heads[l.program] = l.priority
		}
	}
	var due []Due
	for program, priority := range heads {
		due = append(due, Due{name(program), p.weights[program], priority})
	}
	p.s.Looked(due)
}

// reserve holds a message and begins a turn, as an executor does.
func (p *pool) reserve(rt *rapid.T) {
	priority, found := p.urgent()
	if !found || len(p.flying) == p.most {
		return
	}
	var heads []int
	for program := range p.weights {
		if p.ready[level{program, priority}] > 0 {
			heads = append(heads, program)
		}
	}
	held := heads[0] // its messages are the oldest
	if rapid.IntRange(0, 19).Draw(rt, "another order") == 0 {
		held = rapid.SampledFrom(heads).Draw(rt, "held")
	}
	if p.s.Look(p.at) {
		p.look()
	}
	var turn *Turn
	if p.s.Contended(name(held), p.weights[held]) {
		turn = p.next(rt, held, priority)
	} else {
		turn = p.s.Take(name(held), p.weights[held])
	}
	var program int
	_, err := fmt.Sscanf(turn.Program, "p%d", &program)
	if err != nil {
		rt.Fatal(err)
	}
	l := level{program, priority}
	p.ready[l]--
	p.flying = append(p.flying, flight{turn, l})
	p.settle()
}

// next asks for a message of the program whose turn it is, or of one that is not known to have
// jobs, until there is one.
func (p *pool) next(rt *rapid.T, held int, priority uint32) *Turn {
	for {
		turn := p.s.Next(name(held), p.weights[held], priority)
		out := append(turn.Others(), name(held))
		var have []int
		for program := range p.weights {
			l := level{program, priority}
			switch its := name(program) == turn.Program; {
			case p.ready[l] > 0 && (its || !slices.Contains(out, name(program))):
				have = append(have, program)
			case its:
				delete(p.others, l)
			}
		}
		if turn.Program == name(held) {
			return turn
		}
		if len(have) == 0 {
			turn.Passed()
			continue
		}
		if got := rapid.SampledFrom(have).Draw(rt, "got"); name(got) != turn.Program {
			turn.GivenBack()
			turn = p.s.Found(name(got), p.weights[got], priority)
		}
		return turn
	}
}

// end claims the job of a turn, or gives it back.
func (p *pool) end(rt *rapid.T) {
	if len(p.flying) == 0 {
		return
	}
	i := rapid.IntRange(0, len(p.flying)-1).Draw(rt, "ends")
	f := p.flying[i]
	p.flying = append(p.flying[:i], p.flying[i+1:]...)
	for l := range p.others {
		if l.program == f.program {
			p.others[l] = 0
		}
	}
	if rapid.IntRange(0, 9).Draw(rt, "passes") == 0 {
		f.turn.Passed()
		p.ready[f.level]++
		return
	}
	f.turn.Claimed()
	for l := range p.others {
		if l.program != f.program && l.priority == f.priority {
			p.others[l]++
		}
	}
}

// settle forgets the levels that are not ready.
func (p *pool) settle() {
	for l, n := range p.ready {
		if _, counted := p.others[l]; n > 0 && !counted {
			p.others[l] = 0
		} else if n == 0 {
			delete(p.others, l)
		}
	}
}

// TestNoProgramStarves holds the bound of the package: while a program has a ready job, the
// others start no more of the same priority than their weights, one for each program, what is
// under way, and what is started until the next look.
func TestNoProgramStarves(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		p := &pool{
			s: New(), ready: map[level]int{}, others: map[level]int{}, most: rapid.IntRange(1, 6).Draw(rt, "executors"),
			weights: rapid.SliceOfN(rapid.SampledFrom([]int{1, 1, 2, 5}), 2, 12).Draw(rt, "weights"), at: time.Unix(1, 0),
		}
		bound := max(lookAfter, len(p.weights)) + p.most + len(p.weights)
		for _, weight := range p.weights {
			bound += weight
		}
		p.ready[level{0, 2}] = rapid.IntRange(0, 1000).Draw(rt, "flood")
		for range rapid.IntRange(1, 800).Draw(rt, "steps") {
			switch rapid.IntRange(0, 19).Draw(rt, "step") {
			case 0:
				l := level{rapid.IntRange(0, len(p.weights)-1).Draw(rt, "program"), uint32(rapid.IntRange(1, 3).Draw(rt, "priority"))}
				p.ready[l] += rapid.IntRange(1, 20).Draw(rt, "jobs")
				p.settle()
			case 1, 2, 3, 4, 5, 6, 7, 8, 9, 10:
				p.reserve(rt)
			default:
				p.end(rt)
				p.settle()
			}
			for l, n := range p.others {
				if n > bound {
					rt.Fatalf("program %d of weights %v waited for %d starts, more than %d", l.program, p.weights, n, bound)
				}
			}
		}
	})
}
