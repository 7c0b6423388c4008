// Package scheduler lets programs take turns. It decides between jobs of the same
// priority on one beanstalkd server; it knows no job and reads no clock.
package scheduler

import (
	"maps"
	"math"
	"sync"
	"time"
)

const (
	// lookAfter is how many turns may be taken between two looks at the queues, or as
	// many as there are programs with due jobs, if they are more.
	lookAfter = 8
	// lookEvery is the longest time between a look and the next turn.
	lookEvery = time.Second
	// maxIdle bounds the programs that are remembered although none of their jobs is due.
	maxIdle = 1000
)

// Due is a program with jobs that are due.
type Due struct {
	Program string
	Weight  int
	// Priority is that of its most urgent job.
	Priority uint32
}

// Scheduler is weighted round robin. In its turn a program starts as many jobs as its
// weight says; then all others that have due jobs come first. Time without a due job earns
// nothing. A job counts once it is claimed. It is safe for concurrent use.
type Scheduler struct {
	mu       sync.Mutex
	programs map[string]*program
	ends     uint64 // turns that have ended
	due      int    // programs with due jobs
	claims   int    // since the last look
	looked   time.Time
}

// program is what is known of one program.
type program struct {
	weight   int
	left     int    // jobs that it may still start in its turn
	ended    uint64 // when its last turn ended, counted in ends
	pending  int    // turns that were begun and neither claimed nor passed
	due      bool   // by the last look, and not passed since
	priority uint32 // by the last look
}

// New returns a Scheduler that knows no program.
func New() *Scheduler { return &Scheduler{programs: map[string]*program{}} }

// Look reports whether the caller is to look at the queues now and to call Looked. Each look
// is asked of one caller.
func (s *Scheduler) Look(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.claims < max(lookAfter, s.due) && now.Sub(s.looked).Abs() < lookEvery {
		return false
	}
	s.claims, s.looked = 0, now
	return true
}

// Looked takes what a look has found: all programs with due jobs.
func (s *Scheduler) Looked(list []Due) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.programs {
		p.due = false
	}
	for _, d := range list {
		p := s.program(d.Program, d.Weight)
		p.due, p.priority = true, d.Priority
	}
	s.due = len(list)
	if len(s.programs) > len(list)+maxIdle {
		maps.DeleteFunc(s.programs, func(_ string, p *program) bool { return !p.due && p.pending == 0 })
	}
}

// program returns what is known of a program. The caller holds mu.
func (s *Scheduler) program(name string, weight int) *program {
	p := s.programs[name]
	if p == nil {
		p = &program{}
		s.programs[name] = p
	}
	if weight = max(weight, 1); weight != p.weight {
		p.weight, p.left = weight, weight
	}
	return p
}

// Turn is the turn of a program to start a job. Every Turn ends with Claimed, Passed or
// GivenBack.
type Turn struct {
	Program string
	of      *Scheduler
	on      *program
	over    bool
}

// Contended reports whether a turn may go to another program than the one whose message is
// held, whatever the priority of that message is.
func (s *Scheduler) Contended(held string, weight int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	name, _ := s.next(held, weight, math.MaxUint32)
	return name != held
}

// Next begins the turn of the program that is to start the next job of a priority: the one
// whose message the caller holds, or another one that has due jobs.
func (s *Scheduler) Next(held string, weight int, priority uint32) *Turn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.begin(s.next(held, weight, priority))
}

// Take begins a turn of the program whose message is held, whoever else waits.
func (s *Scheduler) Take(held string, weight int) *Turn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.begin(held, s.program(held, weight))
}

// Found begins a turn of a program that has been found to have a message with a job of a
// priority although the last look did not find it.
func (s *Scheduler) Found(program string, weight int, priority uint32) *Turn {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.program(program, weight)
	p.due, p.priority = true, priority
	return s.begin(program, p)
}

// Others returns the programs that may not take the turn, besides its own: those with due jobs,
// as far as is known, and those that have ended a turn since its program has. The others are
// not known to have jobs.
func (t *Turn) Others() []string {
	t.of.mu.Lock()
	defer t.of.mu.Unlock()
	var names []string
	for name, p := range t.of.programs {
		if p != t.on && (p.due || p.ended > t.on.ended) {
			names = append(names, name)
		}
	}
	return names
}

// begin begins a turn. The caller holds mu.
func (s *Scheduler) begin(name string, p *program) *Turn {
	p.pending++
	return &Turn{Program: name, of: s, on: p}
}

// next returns the program that comes next. The caller holds mu.
func (s *Scheduler) next(held string, weight int, priority uint32) (string, *program) {
	name, first := held, s.program(held, weight)
	for other, p := range s.programs {
		if other == held || !p.due || p.priority > priority {
			continue
		}
		if p.before(first) || name != held && other < name && !first.before(p) {
			name, first = other, p
		}
	}
	return name, first
}

// before reports whether p has waited for longer than q since its last turn. Turns that are
// under way count as if their jobs were claimed.
func (p *program) before(q *program) bool {
	if a, b := p.rounds(), q.rounds(); a != b {
		return a < b
	}
	return p.ended < q.ended
}

// rounds is how many turns end when what is under way is claimed.
func (p *program) rounds() int {
	if p.pending < p.left {
		return 0
	}
	return 1 + (p.pending-p.left)/p.weight
}

// Claimed counts the turn: a job of the program has been claimed.
func (t *Turn) Claimed() {
	t.of.mu.Lock()
	defer t.of.mu.Unlock()
	if t.over {
		return
	}
	t.end()
	t.of.claims++
	if t.on.left--; t.on.left == 0 {
		t.of.ends++
		t.on.left, t.on.ended = t.on.weight, t.of.ends
	}
}

// Passed ends a turn that started no job. The program is passed over until the next look. It
// does nothing after Claimed.
func (t *Turn) Passed() {
	t.of.mu.Lock()
	defer t.of.mu.Unlock()
	if !t.over {
		t.end()
		t.on.due = false
	}
}

// GivenBack ends a turn that was begun for the wrong program, as if it had not begun.
func (t *Turn) GivenBack() {
	t.of.mu.Lock()
	defer t.of.mu.Unlock()
	if !t.over {
		t.end()
	}
}

// end ends the turn. The caller holds mu.
func (t *Turn) end() {
	t.over = true
	t.on.pending--
}
