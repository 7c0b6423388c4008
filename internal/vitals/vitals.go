// Package vitals measures the machine of a node: load, processors, memory, disks and
// battery.
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

// DefaultPower is the folder in which Linux lists batteries.
const DefaultPower = "/sys/class/power_supply"

// Config configures a Collector. The zero value of a field means its default.
type Config struct {
	// Places are the folders whose file systems are measured. Default none.
	Places []Place
	// Power is the folder that lists batteries. Default DefaultPower.
	Power string
}

// Collector measures this machine. Its methods are safe for concurrent use.
type Collector struct {
	cfg Config

	mu     sync.Mutex
	last   api.Vitals
	done   chan struct{} // closed when the current measurement ends; nil if none runs
	before cpu.TimesStat
}

// New returns a Collector. It needs no Close.
func New(cfg Config) *Collector {
	if cfg.Power == "" {
		cfg.Power = DefaultPower
	}
	c := &Collector{cfg: cfg}
	c.before, _ = times(context.Background())
	return c
}

// Read measures the machine. A value that cannot be measured is zero. If a disk does
// not answer before ctx ends, Read returns the last measurement; At tells its time. The
// CPU share covers the time since the last measurement.
func (c *Collector) Read(ctx context.Context) api.Vitals {
	select {
	case <-c.look():
	case <-ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last
}

// look starts a measurement on its own goroutine, unless one runs already. The channel
// is closed when it ends.
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
	ctx := context.Background() // the files read here do not block
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

// inUse returns the share of all processors that was busy between two measurements,
// from 0 to 1.
func inUse(before, now cpu.TimesStat) float64 {
	busy := working(now) - working(before)
	all := busy + now.Idle + now.Iowait - before.Idle - before.Iowait
	if all <= 0 || busy <= 0 {
		return 0
	}
	return math.Round(min(busy/all, 1)*1e4) / 1e4
}

// working returns the time that was not idle. User time includes the time of guests.
func working(t cpu.TimesStat) float64 {
	return t.User + t.Nice + t.System + t.Irq + t.Softirq + t.Steal
}
