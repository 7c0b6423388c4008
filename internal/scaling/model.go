package main

import (
	"container/heap"
	"time"
)

// Costs are how long operations of the ledger hold its write lock: a transaction takes Base, and
// more for each operation in it.
type Costs struct {
	Base, Accept, Sent, Claim, Finish, Beat time.Duration
}

// Pool is what is simulated: nodes with slots that never lack jobs.
type Pool struct {
	Nodes, Slots int
	Program      time.Duration // how long a program runs
	BeatEvery    time.Duration // time between two heartbeats of a node
	Costs        Costs
}

// Outcome of a simulation.
type Outcome struct {
	Jobs float64       // jobs that ended in a second
	Busy float64       // part of the time in which a writer held the lock
	Wait time.Duration // from the end of a program to the end of its job, mean
}

// maxGroup bounds the operations of a transaction, as in internal/ledger.
const maxGroup = 256

// executorsPerSlot: while one waits for the ledger, the other runs a program.
const executorsPerSlot = 2

// operation is one of a node's writes.
type operation struct {
	cost time.Duration
	done func() // called when its transaction has ended
}

// node has operations that wait for its next transaction.
type node struct {
	waiting []operation
	queued  bool // for the lock
	free    int  // slots without a program
	ready   int  // claimed jobs that wait for a slot
}

type simulation struct {
	pool   Pool
	now    time.Duration
	events events
	order  int
	nodes  []node
	queue  []int // nodes that wait for the write lock
	held   bool
	busy   time.Duration
	ended  int
	waits  time.Duration
}

// Simulate runs a pool for a time, after a tenth of it has passed to warm up.
func Simulate(p Pool, span time.Duration) Outcome {
	s := &simulation{pool: p, nodes: make([]node, p.Nodes)}
	for i := range s.nodes {
		s.nodes[i].free = p.Slots
		for range p.Slots * executorsPerSlot {
			s.claim(i)
		}
		if p.BeatEvery > 0 { // nodes start one after the other
			s.after(p.BeatEvery*time.Duration(i)/time.Duration(p.Nodes), func() { s.beat(i) })
		}
	}
	s.runUntil(span / 10)
	jobs, busy, waits := s.ended, s.busy, s.waits
	s.runUntil(span/10 + span)
	jobs, busy, waits = s.ended-jobs, s.busy-busy, s.waits-waits
	o := Outcome{Jobs: float64(jobs) / span.Seconds(), Busy: min(1, busy.Seconds()/span.Seconds())}
	if jobs > 0 {
		o.Wait = waits / time.Duration(jobs)
	}
	return o
}

// claim has an executor take a job. Its share of the acceptance and of the mark that its
// message was put is paid here, since a pool that never lacks jobs accepts one for each.
func (s *simulation) claim(i int) {
	c := s.pool.Costs
	s.write(i, operation{c.Claim + c.Accept + c.Sent, func() {
		s.nodes[i].ready++
		s.start(i)
	}})
}

// start runs a claimed job if a slot is free.
func (s *simulation) start(i int) {
	n := &s.nodes[i]
	if n.free == 0 || n.ready == 0 {
		return
	}
	n.free--
	n.ready--
	s.after(s.pool.Program, func() {
		n.free++
		ran := s.now
		s.write(i, operation{s.pool.Costs.Finish, func() {
			s.ended++
			s.waits += s.now - ran
			s.claim(i)
		}})
		s.start(i)
	})
}

func (s *simulation) beat(i int) {
	s.write(i, operation{s.pool.Costs.Beat, func() {}})
	s.after(s.pool.BeatEvery, func() { s.beat(i) })
}

// write adds an operation to the next transaction of a node.
func (s *simulation) write(i int, o operation) {
	n := &s.nodes[i]
	n.waiting = append(n.waiting, o)
	if n.queued {
		return
	}
	n.queued = true
	s.queue = append(s.queue, i)
	if !s.held {
		s.grant()
	}
}

// grant gives the write lock to the first node, for all operations that wait there.
func (s *simulation) grant() {
	i := s.queue[0]
	n := &s.nodes[i]
	group := n.waiting[:min(len(n.waiting), maxGroup)]
	n.waiting = n.waiting[len(group):]
	took := s.pool.Costs.Base
	for _, o := range group {
		took += o.cost
	}
	s.busy += took
	s.held = true
	s.queue = s.queue[1:]
	s.after(took, func() {
		if n.queued = len(n.waiting) > 0; n.queued {
			s.queue = append(s.queue, i)
		}
		for _, o := range group {
			o.done()
		}
		if s.held = false; len(s.queue) > 0 {
			s.grant()
		}
	})
}

func (s *simulation) after(d time.Duration, do func()) {
	s.order++
	heap.Push(&s.events, event{s.now + d, s.order, do})
}

func (s *simulation) runUntil(end time.Duration) {
	for len(s.events) > 0 && s.events[0].at <= end {
		e := heap.Pop(&s.events).(event)
		s.now = e.at
		e.do()
	}
	s.now = end
}

// event is something that happens at a time. Of two at the same time the older is first.
type event struct {
	at    time.Duration
	order int
	do    func()
}

// events is a heap.
type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].order < e[j].order
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	last := len(*e) - 1
	x := (*e)[last]
	*e = (*e)[:last]
	return x
}
