package main

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/runnerbean/runnerbean/chaos/check"
)

func init() {
	register(scenario{
		name: "c5", title: "a node is stopped past its lease, another runs its jobs, the first goes on",
		run: runStale,
	})
}

// stale is C5: rounds in which one of two nodes is stopped.
type stale struct {
	*rig
	*pair
	slots  int
	seen   *follower
	last   map[string]check.Event // newest run of each job
	yields int                    // jobs that ran on another node while theirs was stopped
	list   []*job
}

func runStale(ctx context.Context, r *rig) error {
	slots := pick(r, 16, 12)
	p, err := r.startPair(ctx, slots, map[string]string{"LEASE": "2s"})
	if err != nil {
		return err
	}
	defer p.poll.close()
	target := pick(r, 500, 12)
	r.note(check.Event{What: check.Target, N: float64(target)})
	s := &stale{rig: r, pair: p, slots: slots, seen: &follower{path: r.path}, last: map[string]check.Event{}}
	chance := r.random("rounds")
	enough, cancel := context.WithTimeout(ctx, pick(r, 9*time.Minute, 40*time.Second))
	defer cancel()
	for s.yields < target && enough.Err() == nil {
		if err := s.round(enough, chance); err != nil {
			return err
		}
	}
	return r.conclude(ctx, p, s.list, pick(r, time.Minute, 15*time.Second))
}

// round stops a node while it runs jobs, some of which end meanwhile, and lets
// it go on when the other one has taken them, or at any moment about then.
func (s *stale) round(ctx context.Context, chance *rand.Rand) error {
	victim := s.nodes[chance.IntN(2)]
	jobs := s.submit(ctx, chance)
	err := until(ctx, 20*time.Millisecond, "the jobs run", func() bool { return s.running(jobs, victim.name) >= s.slots/2 || s.over(jobs) })
	if err != nil || s.over(jobs) {
		return ignoreEnd(ctx, err)
	}
	sleep(ctx, time.Duration(chance.IntN(100))*time.Millisecond)
	held := s.runningOn(jobs, victim.name)
	victim.pause()
	if chance.IntN(5) > 0 {
		s.awaitYield(ctx, held, victim.name)
		sleep(ctx, time.Duration(chance.IntN(1500))*time.Millisecond)
	} else {
		sleep(ctx, time.Duration(1000+chance.IntN(6000))*time.Millisecond)
	}
	s.read()
	for id := range held {
		if s.last[id].Who != victim.name {
			s.yields++
		}
	}
	victim.resume()
	s.poll.settle(ctx, 15*time.Second)
	return nil
}

// ignoreEnd: a round that the end of the time breaks off is no error.
func ignoreEnd(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// submit posts twice as many jobs as a node has slots.
func (s *stale) submit(ctx context.Context, chance *rand.Rand) map[string]bool {
	ids := map[string]bool{}
	l := &load{rig: s.rig, poll: s.poll, nodes: s.nodes}
	var list []*job
	for range 2 * s.slots {
		j := s.job(chance, "work", time.Duration(500+chance.IntN(3000))*time.Millisecond, chance.IntN(3000))
		ids[j.id] = true
		list = append(list, j)
	}
	s.list = append(s.list, list...)
	l.submit(ctx, list, 0)
	return ids
}

// awaitYield waits until other nodes have begun all that a stopped one held.
func (s *stale) awaitYield(ctx context.Context, held map[string]bool, victim string) {
	ctx, cancel := context.WithTimeout(ctx, 25*time.Second)
	defer cancel()
	err := until(ctx, 50*time.Millisecond, "the other node has taken the jobs", func() bool {
		s.read()
		for id := range held {
			if s.last[id].Who == victim {
				return false
			}
		}
		return true
	})
	if err != nil {
		s.say("%v", err)
	}
}

// read follows the history.
func (s *stale) read() {
	events, err := s.seen.fresh()
	if err != nil {
		s.say("%v", err)
	}
	for _, e := range events {
		if e.What == check.Run || e.What == check.Ran {
			s.last[e.Job] = e
		}
	}
}

// runningOn are the jobs whose newest run is under way on a node.
func (s *stale) runningOn(jobs map[string]bool, node string) map[string]bool {
	s.read()
	held := map[string]bool{}
	for id := range jobs {
		if e := s.last[id]; e.What == check.Run && e.Who == node {
			held[id] = true
		}
	}
	return held
}

func (s *stale) running(jobs map[string]bool, node string) int { return len(s.runningOn(jobs, node)) }

// over reports whether no job is left to run.
func (s *stale) over(jobs map[string]bool) bool {
	open, _ := s.poll.left()
	for _, j := range open {
		if jobs[j.id] {
			return false
		}
	}
	return true
}
