package main

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/runnerbean/runnerbean/chaos/check"
	"github.com/runnerbean/runnerbean/chaos/internal/testbed"
)

// staleNodes stops one of two nodes in each round.
type staleNodes struct {
	bed     *testbed.Testbed
	cluster *cluster
	slots   int
	seen    *testbed.HistoryReader
	last    map[string]check.Event // newest run of each job
	yields  int                    // jobs that ran on another node while theirs was stopped
	list    []*testbed.Job
}

func staleNode(ctx context.Context, bed *testbed.Testbed) error {
	slots := testbed.Pick(bed, 16, 12)
	p, err := startCluster(ctx, bed, slots, map[string]string{"LEASE": "2s"})
	if err != nil {
		return err
	}
	defer p.poll.Close()
	target := testbed.Pick(bed, 500, 12)
	bed.History.Note(check.Event{What: check.Target, N: float64(target)})
	s := &staleNodes{bed: bed, cluster: p, slots: slots, seen: &testbed.HistoryReader{Path: bed.History.Path}, last: map[string]check.Event{}}
	rng := bed.Random("rounds")
	enough, cancel := context.WithTimeout(ctx, testbed.Pick(bed, 9*time.Minute, 40*time.Second))
	defer cancel()
	for s.yields < target && enough.Err() == nil {
		if err := s.round(enough, rng); err != nil {
			return err
		}
	}
	return conclude(ctx, bed, p, s.list, testbed.Pick(bed, time.Minute, 15*time.Second))
}

// round stops a node while it runs jobs, some of which end meanwhile. Mostly it
// lets the node continue when the other one has taken the jobs.
func (s *staleNodes) round(ctx context.Context, rng *rand.Rand) error {
	stopped := s.cluster.nodes[rng.IntN(2)]
	jobs := s.submit(ctx, rng)
	err := testbed.Until(ctx, 20*time.Millisecond, "the jobs run", func() bool { return s.running(jobs, stopped.Process.Name) >= s.slots/2 || s.over(jobs) })
	if err != nil || s.over(jobs) {
		return ignoreEnd(ctx, err)
	}
	testbed.Sleep(ctx, time.Duration(rng.IntN(100))*time.Millisecond)
	held := s.runningOn(jobs, stopped.Process.Name)
	stopped.Process.Pause()
	if rng.IntN(5) > 0 {
		s.awaitYield(ctx, held, stopped.Process.Name)
		testbed.Sleep(ctx, time.Duration(rng.IntN(1500))*time.Millisecond)
	} else {
		testbed.Sleep(ctx, time.Duration(1000+rng.IntN(6000))*time.Millisecond)
	}
	s.read()
	for id := range held {
		if s.last[id].Who != stopped.Process.Name {
			s.yields++
		}
	}
	stopped.Process.Resume()
	s.cluster.poll.AwaitEnds(ctx, 15*time.Second)
	return nil
}

// ignoreEnd returns nil if the time is over.
func ignoreEnd(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// submit submits twice as many jobs as a node has slots.
func (s *staleNodes) submit(ctx context.Context, rng *rand.Rand) map[string]bool {
	ids := map[string]bool{}
	l := &testbed.Load{Bed: s.bed, Poll: s.cluster.poll, Nodes: s.cluster.nodes}
	var list []*testbed.Job
	for i := range 2 * s.slots {
		pad := rng.IntN(3000)
		if i%3 == 0 {
			pad = testbed.LargePad
		}
		j := s.bed.WorkJob(rng, "work", time.Duration(500+rng.IntN(3000))*time.Millisecond, pad)
		ids[j.ID] = true
		list = append(list, j)
	}
	s.list = append(s.list, list...)
	l.Submit(ctx, list, 0)
	return ids
}

// awaitYield waits until other nodes have started all jobs that a stopped node
// held.
func (s *staleNodes) awaitYield(ctx context.Context, held map[string]bool, stopped string) {
	ctx, cancel := context.WithTimeout(ctx, 25*time.Second)
	defer cancel()
	err := testbed.Until(ctx, 50*time.Millisecond, "the other node has taken the jobs", func() bool {
		s.read()
		for id := range held {
			if s.last[id].Who == stopped {
				return false
			}
		}
		return true
	})
	if err != nil {
		s.bed.History.Logf("%v", err)
	}
}

// read reads what is new in the history.
func (s *staleNodes) read() {
	events, err := s.seen.Next()
	if err != nil {
		s.bed.History.Logf("%v", err)
	}
	for _, e := range events {
		if e.What == check.Run || e.What == check.Ran {
			s.last[e.Job] = e
		}
	}
}

// runningOn returns the jobs whose newest run is on the node and has not ended.
func (s *staleNodes) runningOn(jobs map[string]bool, node string) map[string]bool {
	s.read()
	held := map[string]bool{}
	for id := range jobs {
		if e := s.last[id]; e.What == check.Run && e.Who == node {
			held[id] = true
		}
	}
	return held
}

func (s *staleNodes) running(jobs map[string]bool, node string) int {
	return len(s.runningOn(jobs, node))
}

// over reports whether all of the jobs have ended.
func (s *staleNodes) over(jobs map[string]bool) bool {
	open, _ := s.cluster.poll.Unfinished()
	for _, j := range open {
		if jobs[j.ID] {
			return false
		}
	}
	return true
}
