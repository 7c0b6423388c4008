package main

import (
	"context"
	"math/rand/v2"
	"syscall"
	"time"

	"github.com/runnerbean/runnerbean/chaos/check"
	"github.com/runnerbean/runnerbean/chaos/internal/testbed"
)

// streamManifest allows enough attempts for a job whose process is killed again and again.
const streamManifest = `{"mode":"stream","attempts":100,"recycle":{"jobs":50}}`

// streamRun are jobs of a stream program, whose processes are killed at random while nodes
// and beanstalkd are.
type streamRun struct {
	bed *testbed.Testbed
	exe string // executable of the program
}

func killStreams(ctx context.Context, bed *testbed.Testbed) error {
	exe, err := bed.InstallStream("serve", streamManifest)
	if err != nil {
		return err
	}
	s := &streamRun{bed: bed, exe: exe}
	p, err := startCluster(ctx, bed, 2, map[string]string{"LEASE": testbed.Pick(bed, "20s", "5s")})
	if err != nil {
		return err
	}
	defer p.poll.Close()
	list := s.jobs(testbed.Pick(bed, 10_000, 400))
	over := testbed.Pick(bed, 5*time.Minute, 10*time.Second)
	bed.History.Note(check.Event{What: check.Target, N: testbed.Pick(bed, 200.0, 5)})
	killing, stop := context.WithTimeout(ctx, over)
	defer stop()
	killed := make(chan error, 1)
	go func() { killed <- killTest{}.killUntil(ctx, killing, bed, p) }()
	bed.Background.Go(func() { s.killPrograms(killing) })
	watch := watchInbox(killing, bed, p.beanstalkd)
	(&testbed.Load{Bed: bed, Poll: p.poll, Nodes: p.nodes, Inbox: p.beanstalkd.Addr, Array: 4}).Submit(ctx, list, over)
	if err := <-killed; err != nil {
		return err
	}
	<-watch
	if err := conclude(ctx, bed, p, list, testbed.Pick(bed, time.Minute, 15*time.Second)); err != nil {
		return err
	}
	s.checkProcesses(ctx, p)
	return nil
}

// jobs returns jobs. Most are short, and some fail at first.
func (s *streamRun) jobs(n int) []*testbed.Job {
	rng, list := s.bed.Random("jobs"), make([]*testbed.Job, n)
	for i := range list {
		t := testbed.Task{MS: rng.IntN(30), Pad: rng.IntN(3000)}
		switch rng.IntN(20) {
		case 0, 1:
			t.MS *= 10
		case 2:
			t.Fails = 1
		}
		list[i] = s.bed.TaskJob(rng, "serve", t)
	}
	return list
}

// killPrograms kills a random process of the program now and then, until ctx ends.
func (s *streamRun) killPrograms(ctx context.Context) {
	rng := s.bed.Random("kills of programs")
	for testbed.Sleep(ctx, time.Duration(100+rng.IntN(400))*time.Millisecond) {
		s.killProgram(rng)
	}
}

func (s *streamRun) killProgram(rng *rand.Rand) {
	pids := testbed.ProcessesOf(s.exe)
	if len(pids) == 0 {
		return
	}
	pid := pids[rng.IntN(len(pids))]
	s.bed.History.Note(check.Event{What: check.KillProgram, N: float64(pid)})
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		s.bed.History.Logf("process %d: %v", pid, err)
	}
}

// checkProcesses looks for processes of nodes that were killed, and ends the nodes to see
// whether they end theirs.
func (s *streamRun) checkProcesses(ctx context.Context, p *cluster) {
	var alive []int
	for _, n := range p.nodes {
		alive = append(alive, n.Process.PID())
	}
	s.measureLeft(ctx, "processes of nodes that were killed", alive)
	for _, n := range p.nodes {
		n.Process.Terminate(20 * time.Second)
	}
	s.measureLeft(ctx, "processes left when the nodes have ended", nil)
}

// measureLeft counts the processes that do not descend from these nodes. Those that are
// about to end have some seconds for it.
func (s *streamRun) measureLeft(ctx context.Context, what string, nodes []int) {
	var left []int
	for range 50 {
		left = left[:0]
		for _, pid := range testbed.ProcessesOf(s.exe) {
			if !testbed.DescendsFrom(pid, nodes) {
				left = append(left, pid)
			}
		}
		if len(left) == 0 || !testbed.Sleep(ctx, 100*time.Millisecond) {
			break
		}
	}
	if len(left) > 0 {
		s.bed.History.Logf("%s: %v", what, left)
	}
	s.bed.History.Measure(what, float64(len(left)), 0)
}
