// Package vitals measures how the machine of a node does: load, processors,
// memory, disks and battery.
package vitals

import (
	"context"
	"math"
	"runtime"
	"sync"
	"time"

	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/load"
	"github.com/shirou/gopsutil/v4/mem"

	"github.com/runnerbean/runnerbean/api"
)

// DefaultPower is where Linux tells of batteries.
const DefaultPower = "/sys/class/power_supply"

// Config of a Collector. The zero value of a field means its default.
type Config struct {
	// Places are folders whose file systems matter. Default none.
	Places []Place
	// Power is a folder such as DefaultPower, which is the default.
	Power string
}

// Collector measures this machine. Its methods may be called at the same time.
type Collector struct {
	cfg Config

	mu     sync.Mutex
	last   api.Vitals
	done   chan struct{} // of the look that is under way; nil for none
	before cpu.TimesStat
}

// New makes a Collector. It has nothing to close.
func New(cfg Config) *Collector {
	if cfg.Power == "" {
		cfg.Power = DefaultPower
	}
	c := &Collector{cfg: cfg}
	c.before, _ = times(context.Background())
	return c
}

// Read measures the machine. What cannot be known is zero. A disk may not answer:
// when ctx ends before it does, Read returns what was known last, which At tells.
// What is used of the processors is since the look before.
func (c *Collector) Read(ctx context.Context) api.Vitals {
	select {
	case <-c.look():
	case <-ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last
}

// look measures on a goroutine of its own; there is never more than one.
func (c *Collector) look() (done <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done == nil {
		c.done = make(chan struct{})
		go c.measure(c.done)
	}
	return c.done
}

func (c *Collector) measure(done chan struct{}) {
	ctx := context.Background() // these read files that answer at once
	v := api.Vitals{At: time.Now().UTC(), CPUs: runtime.NumCPU(), Disks: disks(c.cfg.Places), Battery: battery(c.cfg.Power), Processes: []api.Process{}}
	if avg, err := load.AvgWithContext(ctx); err == nil {
		v.Load = [3]float64{avg.Load1, avg.Load5, avg.Load15}
	}
	if m, err := mem.VirtualMemoryWithContext(ctx); err == nil {
		v.MemoryTotal, v.MemoryAvailable = int64(m.Total), int64(m.Available)
	}
	now, err := times(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		v.CPU, c.before = inUse(c.before, now), now
	}
	c.last, c.done = v, nil
	close(done)
}

func times(ctx context.Context) (cpu.TimesStat, error) {
	all, err := cpu.TimesWithContext(ctx, false)
	if err != nil || len(all) == 0 {
		return cpu.TimesStat{}, err
	}
	return all[0], nil
}

// inUse is the share of all processors that was in use between two looks.
func inUse(before, now cpu.TimesStat) float64 {
	busy := working(now) - working(before)
	all := busy + now.Idle + now.Iowait - before.Idle - before.Iowait
	if all <= 0 || busy <= 0 {
		return 0
	}
	return math.Round(min(busy/all, 1)*1e4) / 1e4
}

// working is time that was not idle; that of guests is in it already.
func working(t cpu.TimesStat) float64 {
	return t.User + t.Nice + t.System + t.Irq + t.Softirq + t.Steal
}
