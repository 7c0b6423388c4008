package bench

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/internal/text"
)

// Report is what "runnerbean bench" prints.
type Report struct {
	Mode  string `json:"mode"`
	Size  int    `json:"size_bytes"` // of an input
	Slots int    `json:"slots"`
	Jobs  int    `json:"jobs"` // in each round
	// IdleCPU is in percent of one processor, IdleMemory in bytes.
	IdleCPU    float64 `json:"idle_cpu_percent"`
	IdleMemory int64   `json:"idle_memory_bytes"`
	// PutToStart is the time from the put of a job to the first system call of its program, on
	// an idle node.
	PutToStart latency `json:"put_to_start"`
	// Spawn is the number of processes per second without a node. Whole is the number of
	// jobs per second from the inbox to a synced result. Cmdstalk is the rate of that program,
	// 0 where it is not in the PATH. All are medians of the rounds, and so are the ratios, of
	// Whole to the others.
	Spawn         float64 `json:"spawn_per_second"`
	Cmdstalk      float64 `json:"cmdstalk_per_second,omitzero"`
	Whole         float64 `json:"jobs_per_second"`
	Ratio         float64 `json:"ratio"`
	CmdstalkRatio float64 `json:"cmdstalk_ratio,omitzero"`
	Cost          Cost    `json:"cost"`
	Rounds        []Round `json:"rounds"`
}

// Round has the rates of one round, and the costs of its jobs.
type Round struct {
	// Spawn is processes, Cmdstalk and Whole are jobs per second. Cmdstalk is 0 where it is
	// not in the PATH.
	Spawn    float64 `json:"spawn_per_second"`
	Cmdstalk float64 `json:"cmdstalk_per_second,omitzero"`
	Whole    float64 `json:"jobs_per_second"`
	// SpawnCPU is the processor time of a start alone, its process included, and CPU that
	// of a job in the whole system, in milliseconds.
	SpawnCPU float64 `json:"spawn_cpu_ms"`
	CPU      float64 `json:"cpu_ms"`
}

// Cost is what a job costs: the average of all rounds, but for Spawning and Beyond. Times
// are of processors, in milliseconds. Figures of /proc are 0 on systems without it.
type Cost struct {
	// User and System are of this process: the node, and the benchmark that feeds it.
	User   float64 `json:"user_ms"`
	System float64 `json:"system_ms"`
	// Programs is of the programs and what they start.
	Programs   float64 `json:"programs_ms"`
	Beanstalkd float64 `json:"beanstalkd_ms"`
	Whole      float64 `json:"whole_ms"` // the sum
	// Spawning is what a start alone costs, its process included, and Beyond how much more a
	// job costs: medians of the rounds.
	Spawning float64 `json:"spawning_ms"`
	Beyond   float64 `json:"beyond_spawning_ms"`
	// Idle is the share of the machine's processor time that was not used meanwhile.
	Idle float64 `json:"idle_share"`
	// Parts are where the time of this process goes, the largest first. A profile has no
	// samples of the moments in which signals are blocked, mostly the start of processes.
	Parts []Part `json:"parts"`
	// Counts are operations on the ledger, commands to beanstalkd, and system calls that read
	// and write, with their bytes. Batches make many less than 1.
	Counts map[string]float64 `json:"counts"`
}

// Part is one part of the processor time of a job, by samples of a profile.
type Part struct {
	Name  string  `json:"name"`
	Time  float64 `json:"ms"`
	Share float64 `json:"share"` // of Cost.Whole
}

// sum fills in what is computed of the rounds.
func (r *Report) sum(u usage, parts map[string]time.Duration) {
	of := func(f func(Round) float64) float64 {
		values := make([]float64, len(r.Rounds))
		for i, one := range r.Rounds {
			values[i] = f(one)
		}
		return median(values)
	}
	r.Spawn, r.Cmdstalk = of(func(o Round) float64 { return o.Spawn }), of(func(o Round) float64 { return o.Cmdstalk })
	r.Whole, r.Ratio = of(func(o Round) float64 { return o.Whole }), of(func(o Round) float64 { return o.Whole / o.Spawn })
	if r.Cmdstalk > 0 {
		r.CmdstalkRatio = of(func(o Round) float64 { return o.Whole / o.Cmdstalk })
	}
	all := float64(r.Jobs * len(r.Rounds))
	per := func(d time.Duration) float64 { return milliseconds(d) / all }
	c := &r.Cost
	c.User, c.System, c.Programs, c.Beanstalkd, c.Whole = per(u.user), per(u.system), per(u.children), per(u.beanstalkd), per(u.processors())
	c.Spawning, c.Beyond = of(func(o Round) float64 { return o.SpawnCPU }), of(func(o Round) float64 { return o.CPU - o.SpawnCPU })
	if u.all > 0 {
		c.Idle = float64(u.idle) / float64(u.all)
	}
	sampled := 0.0
	for name, took := range parts {
		c.Parts = append(c.Parts, Part{name, per(took), per(took) / c.Whole})
		sampled += per(took)
	}
	if rest := c.User + c.System - sampled; rest > 0 {
		c.Parts = append(c.Parts, Part{"not sampled", rest, rest / c.Whole})
	}
	slices.SortFunc(c.Parts, func(a, b Part) int { return cmp.Or(cmp.Compare(b.Time, a.Time), cmp.Compare(a.Name, b.Name)) })
	c.Counts = map[string]float64{}
	for name, n := range u.counts {
		c.Counts[name] = n / all
	}
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

// Print writes the report as text.
func (r Report) Print(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "idle node        %.2f %% of a processor, %s\n", r.IdleCPU, text.Bytes(r.IdleMemory))
	r.PutToStart.print(&b)
	fmt.Fprintf(&b, "spawn alone      %.0f /s\n", r.Spawn)
	if r.Cmdstalk > 0 {
		fmt.Fprintf(&b, "cmdstalk         %.0f jobs/s\n", r.Cmdstalk)
	}
	fmt.Fprintf(&b, `whole system     %.0f jobs/s with %d slots, mode %s, inputs of %s
ratio            %.2f of spawning alone
`, r.Whole, r.Slots, r.Mode, text.Bytes(int64(r.Size)), r.Ratio)
	if r.Cmdstalk > 0 {
		fmt.Fprintf(&b, "                 %.2f of cmdstalk\n", r.CmdstalkRatio)
	}
	r.Cost.print(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

func (c Cost) print(b *strings.Builder) {
	fmt.Fprintf(b, "idle meanwhile   %.0f %% of the machine\n\nprocessor time              ms of a job   share\n", c.Idle*100)
	line := func(name string, took float64) {
		fmt.Fprintf(b, "%-32s %7.3f %6.0f %%\n", name, took, took/c.Whole*100)
	}
	line("programs", c.Programs)
	line("beanstalkd", c.Beanstalkd)
	line("node, user", c.User)
	line("node, system", c.System)
	for _, p := range c.Parts {
		line("  "+p.Name, p.Time)
	}
	line("whole system", c.Whole)
	line("spawning alone", c.Spawning)
	line("beyond spawning", c.Beyond)
	fmt.Fprint(b, "\ncounts                             of a job\n")
	for _, name := range slices.Sorted(maps.Keys(c.Counts)) {
		if c.Counts[name] >= 0.005 {
			fmt.Fprintf(b, "%-32s %10.2f\n", name, c.Counts[name])
		}
	}
}
