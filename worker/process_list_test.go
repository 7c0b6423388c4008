package worker

import (
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/worker/internal/process"
)

// TestProcesses checks that processes are listed with their job and a harmless name.
func TestProcesses(t *testing.T) {
	t.Parallel()
	r := newFixture(t)
	// A process may call itself anything.
	r.install("busy", `printf '\033[31m\377\n)x' >/proc/self/comm 2>/dev/null || printf '\033[31m\377\n)x' >/proc/$$/comm
		echo '{"message":"running"}' >&3; while :; do :; done`)
	r.install("idle", `sleep 1000 & echo '{"message":"running"}' >&3; wait`)
	n := r.start()
	if list := n.Processes(); len(list) != 0 || list == nil {
		t.Errorf("of nothing: %#v", list)
	}
	begun := time.Now()
	busy, idle := r.submit(job("busy")), r.submit(job("idle"))
	r.awaitMessage(busy)
	r.awaitMessage(idle)
	of := func(id string) (list []api.Process) {
		for _, p := range n.Processes() {
			if p.Job == id {
				list = append(list, p)
			}
		}
		return list
	}
	r.until("the busy one uses a processor", func() bool {
		time.Sleep(50 * time.Millisecond)
		list := of(busy)
		return len(list) == 1 && list[0].CPU > 0.05 && list[0].CPU < 1.5 && list[0].CPUSeconds > 0
	})
	r.until("the other has two processes", func() bool {
		list := of(idle)
		return len(list) == 2 && list[0].Memory > 0 && list[1].Memory > 0
	})
	for _, p := range n.Processes() {
		if p.Attempt != 1 || p.PID <= 0 || p.Memory <= 0 || p.Started.Before(begun.Add(-time.Second)) || p.Paused {
			t.Errorf("%+v", p)
		}
		if !utf8.ValidString(p.Name) || strings.ContainsAny(p.Name, "\x1b") || p.Name == "" {
			t.Errorf("name %q", p.Name)
		}
	}
	if list := of(idle); list[1].Parent != list[0].PID || list[1].CPU > 0.5 {
		t.Errorf("%+v", list)
	}
	n.Pause("backup")
	r.until("they are paused", func() bool {
		return !slices.ContainsFunc(n.Processes(), func(p api.Process) bool { return !p.Paused })
	})
}

func TestShorten(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		lengths []int
		limit   int
		want    []int
	}{
		{nil, 3, nil},
		{[]int{1, 2}, 3, []int{1, 2}},
		{[]int{9, 1, 9}, 9, []int{4, 1, 4}},
		{[]int{9, 9}, 5, []int{2, 3}},
		{[]int{5, 5, 5}, 2, []int{0, 1, 1}},
	} {
		lists, sum := make([][]int, len(c.lengths)), 0
		for i, n := range c.lengths {
			lists[i] = make([]int, n)
		}
		shorten(lists, c.limit)
		var got []int
		for _, l := range lists {
			got, sum = append(got, len(l)), sum+len(l)
		}
		if diff := cmp.Diff(c.want, got); diff != "" || sum > c.limit {
			t.Errorf("%v within %d: %s", c.lengths, c.limit, diff)
		}
	}
}

// TestUsage checks that a process is measured since the last look, or else since its
// start.
func TestUsage(t *testing.T) {
	t.Parallel()
	var u processUsage
	start := time.Now()
	look := func(after, cpu time.Duration, key uint64) float64 {
		p := process.Process{PID: 7, Key: key, CPU: cpu, Started: start}
		return u.update(start.Add(after), [][]process.Process{{p}})[processKey{7, key}]
	}
	const s = time.Second
	for i, c := range []struct {
		after, cpu time.Duration
		key        uint64
		want       float64
	}{
		{4 * s, 2 * s, 1, 0.5}, {6 * s, 4 * s, 1, 1}, {7 * s, 4 * s, 1, 0}, {8 * s, 1 * s, 2, 0.125}, {8*s + 1, 2 * s, 2, 0}, {9 * s, s, 2, 0},
	} {
		if got := look(c.after, c.cpu, c.key); got != c.want {
			t.Errorf("look %d: %v", i, got)
		}
	}
}
