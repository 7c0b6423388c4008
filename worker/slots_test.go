package worker

import (
	"errors"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/queue"
	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
	"github.com/runnerbean/runnerbean/jobs"
)

// crowd submits jobs of a program that waits for open.
func (r *fixture) crowd(program string, n int) (ids []string) {
	for range n {
		ids = append(ids, r.submit(job(program)))
	}
	return ids
}

func (n *node) busy() int { return len(n.running.list()) }

// runs waits until n jobs run, and checks that it stays so.
func (n *node) runs(want int) {
	n.r.t.Helper()
	n.r.until("so many jobs run", func() bool { return n.busy() == want })
	time.Sleep(100 * time.Millisecond) // there is no event for nothing
	if got := n.busy(); got != want {
		n.r.t.Errorf("%d jobs run, want %d", got, want)
	}
}

// TestSetSlots changes the number of jobs that run at the same time. It stops none.
func TestSetSlots(t *testing.T) {
	t.Parallel()
	r := newFixture(t, func(c *Config) { c.Slots = 1 })
	open := r.gate("slow")
	n := r.start()
	ids := r.crowd("slow", 8)
	n.runs(1)
	r.must(n.SetSlots(4))
	n.runs(4)
	r.must(n.SetSlots(0))
	r.must(n.SetSlots(2)) // the first two slots are still taken
	if n.Slots() != 2 {
		t.Errorf("%d slots", n.Slots())
	}
	n.runs(4)
	r.must(n.SetSlots(6)) // four are still taken
	n.runs(6)
	r.must(n.SetSlots(1))
	open()
	for _, id := range ids {
		r.await(id, jobs.Succeeded)
		if diff := cmp.Diff([]jobs.Outcome{jobs.OutcomeSucceeded}, r.outcomes(id)); diff != "" {
			t.Error(diff)
		}
	}
	r.tubeEmpty("slow")
	r.until("the folders of the executors that ended are gone", func() bool {
		left, _ := filepath.Glob(filepath.Join(r.cfg.Scratch, "lane-*"))
		return len(left) == 2
	})
}

func TestSetSlotsRefuses(t *testing.T) {
	t.Parallel()
	r := newFixture(t)
	n := r.start()
	for _, slots := range []int{-1, api.MaxSlots + 1} {
		if err := n.SetSlots(slots); !errors.Is(err, ErrSlots) {
			t.Errorf("%d slots: %v", slots, err)
		}
	}
	if n.Slots() != r.cfg.Slots {
		t.Errorf("%d slots", n.Slots())
	}
	r.cfg.Slots, r.cfg.Scratch = 0, ""
	bare, err := New(r.cfg)
	r.must(err)
	if err := bare.SetSlots(1); err == nil {
		t.Error("there are slots without a folder to work in")
	}
	r.cfg.Slots = api.MaxSlots + 1
	if _, err := New(r.cfg); err == nil {
		t.Error("New takes too many slots")
	}
}

// TestSlotsFromNone adds slots to a node that has none, before and after Run, and
// removes them again.
func TestSlotsFromNone(t *testing.T) {
	t.Parallel()
	for _, before := range []bool{true, false} {
		r := newFixture(t, func(c *Config) { c.Slots = 0 })
		r.install("quick", "echo 1")
		w, err := New(r.cfg)
		r.must(err)
		if before {
			r.must(w.SetSlots(1))
		}
		n := r.run(w)
		if !before {
			r.must(n.SetSlots(1))
		}
		r.await(r.submit(job("quick")), jobs.Succeeded)
		r.must(n.SetSlots(0))
		n.stop()
		n.wait()
		r.must(n.SetSlots(3)) // after Run nothing starts
	}
}

// TestSlotsServeAllServers checks that all servers are served if there are fewer slots.
func TestSlotsServeAllServers(t *testing.T) {
	t.Parallel()
	other := queuetest.Start(t)
	r := newFixture(t, func(c *Config) { c.Slots = 3 })
	r.install("quick", "echo 1")
	r.cfg.Queue.Addrs = append(r.cfg.Queue.Addrs, other.Addr)
	n := r.start()
	for _, slots := range []int{3, 1, 2, 1, 5} {
		r.must(n.SetSlots(slots))
		for _, addr := range r.cfg.Queue.Addrs {
			j := job("quick")
			r.accept(j)
			r.putTo(addr, j)
			r.await(j.ID, jobs.Succeeded)
		}
	}
}

// TestSlotsOnAndOff changes the number all the time while jobs come. Each job runs
// once.
func TestSlotsOnAndOff(t *testing.T) {
	t.Parallel()
	r := newFixture(t)
	r.install("quick", "echo 1")
	n := r.start()
	var ids []string
	var group sync.WaitGroup
	for range 3 {
		group.Go(func() {
			for range 20 {
				if err := n.SetSlots(rand.IntN(5)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 60 {
		ids = append(ids, r.submit(job("quick")))
	}
	group.Wait()
	r.must(n.SetSlots(2))
	for _, id := range ids {
		r.await(id, jobs.Succeeded)
		if got := r.outcomes(id); !slices.Equal(got, []jobs.Outcome{jobs.OutcomeSucceeded}) {
			t.Errorf("%v", got)
		}
	}
	r.tubeEmpty("quick")
}

// TestEverySlotTakesFromEveryServer puts the messages of all jobs on the last of three servers:
// every slot must get one, also while the other servers are dead or hang.
func TestEverySlotTakesFromEveryServer(t *testing.T) {
	t.Parallel()
	for name, harm := range map[string]func(one, two *queuetest.Server){
		"all work": func(_, _ *queuetest.Server) {},
		"two dead": func(one, two *queuetest.Server) { one.Kill(); two.Kill() },
		"two hang": func(one, two *queuetest.Server) { one.Signal(syscall.SIGSTOP); two.Signal(syscall.SIGSTOP) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			one, two := queuetest.Start(t), queuetest.Start(t)
			r := newFixture(t, func(c *Config) {
				c.Slots, c.Queue.Timeout, c.Queue.Addrs = 3, time.Hour, []string{one.Addr, two.Addr, c.Queue.Addrs[0]}
			})
			open := r.gate("slow")
			harm(one, two)
			n := r.start()
			ids := r.crowd("slow", 3)
			r.until("every slot runs a job", func() bool { return n.busy() == 3 })
			open()
			for _, id := range ids {
				r.await(id, jobs.Succeeded)
			}
		})
	}
}

// TestPendingReserves counts at the servers: each free slot has one reserve pending at each
// server, and a slot that runs a job has none.
func TestPendingReserves(t *testing.T) {
	t.Parallel()
	const slots = 8
	r := newFixture(t, func(c *Config) {
		c.Slots, c.Queue.Addrs = slots, append(c.Queue.Addrs, queuetest.Start(t).Addr, queuetest.Start(t).Addr)
	})
	open := r.gate("slow")
	servers, err := queue.NewProducer(queue.Config{Addrs: r.cfg.Queue.Addrs})
	r.must(err)
	defer servers.Close()
	pending := func(want int) {
		t.Helper()
		r.until("every free slot waits at every server", func() bool {
			list, err := servers.Servers(t.Context())
			r.must(err)
			same := 0
			for _, s := range list {
				n, err := strconv.Atoi(s.Stats["current-waiting"])
				r.must(err)
				if n == want {
					same++
				}
			}
			return same == len(list)
		})
	}
	n := r.start()
	pending(slots)
	ids := r.crowd("slow", slots-2)
	r.until("all jobs run", func() bool { return n.busy() == slots-2 })
	pending(2)
	ids = append(ids, r.crowd("slow", 2)...)
	r.until("all slots are taken", func() bool { return n.busy() == slots })
	pending(0)
	open()
	for _, id := range ids {
		r.await(id, jobs.Succeeded)
	}
	pending(slots)
}

// TestServersTakeTurns has a queue on one server and a single job on another.
func TestServersTakeTurns(t *testing.T) {
	t.Parallel()
	other := queuetest.Start(t)
	r := newFixture(t, func(c *Config) { c.Slots, c.Queue.Addrs = 1, append(c.Queue.Addrs, other.Addr) })
	r.install("quick", "echo 1")
	ids := r.crowd("quick", 6)
	j := job("quick")
	r.accept(j)
	r.putTo(other.Addr, j)
	r.start()
	started := r.await(j.ID, jobs.Succeeded).Started
	earlier := 0
	for _, id := range ids {
		if r.await(id, jobs.Succeeded).Started.Before(started) {
			earlier++
		}
	}
	if earlier > 2 {
		t.Errorf("%d jobs of the other server came first", earlier)
	}
}
