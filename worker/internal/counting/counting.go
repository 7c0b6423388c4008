// Package counting adds up what the programs of a node count, and hands it to the ledger every
// two seconds. A node that is killed loses what it has not handed over yet.
package counting

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/counters"
)

const (
	// MaxNames is how many counters of a program a node adds up.
	MaxNames = 16
	// forget is after how long without growth a counter gives its place to another one.
	forget = time.Hour
	// maxSums bounds the sums that wait for the ledger. If there are more, the oldest are
	// dropped. maxPiece is how many of them one write of the ledger takes.
	maxSums, maxPiece = 8192, 512

	flushEvery = 2 * time.Second
	// flushTime bounds one flush, so that a ledger that is away does not hold up the end of
	// the node.
	flushTime = 5 * time.Second
)

// Ledger adds what a node has counted; *counters.Counters implements it.
type Ledger interface {
	Add(ctx context.Context, node string, list []counters.Sum) error
}

// Config of a Counting. All fields but OnCount and Now are required.
type Config struct {
	Ledger Ledger
	Node   string
	Logger *slog.Logger
	// OnCount gets what was counted since the last flush, one call for each counter.
	// Default: nothing.
	OnCount func(program, counter string, n float64)
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// Counting adds up the counters of all attempts. It is safe for concurrent use.
type Counting struct {
	cfg  Config
	wake chan struct{} // something waits for a flush

	mu    sync.Mutex
	names map[string]map[string]time.Time // of a program: when it has grown last
	fresh map[key]float64

	flushing sync.Mutex
	waiting  map[key]float64 // what the ledger did not take
	away     bool            // the last flush failed, which was logged
	dropped  bool            // some sums were dropped, which was logged
}

type key struct {
	program, name string
	at            int64 // begin of the step, in seconds since 1970
}

// New returns a Counting. The caller calls Run.
func New(cfg Config) *Counting {
	if cfg.OnCount == nil {
		cfg.OnCount = func(string, string, float64) {}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Counting{cfg: cfg, wake: make(chan struct{}, 1), names: map[string]map[string]time.Time{}, fresh: map[key]float64{}, waiting: map[key]float64{}}
}

// Run hands over what was counted until ctx ends, and then the rest.
func (c *Counting) Run(ctx context.Context) {
	timer := time.NewTimer(flushEvery)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			c.Flush(context.WithoutCancel(ctx))
			return
		case <-c.wake:
		}
		timer.Reset(flushEvery)
		select {
		case <-ctx.Done():
			c.Flush(context.WithoutCancel(ctx))
			return
		case <-timer.C:
		}
		if !c.Flush(ctx) {
			c.wakeUp()
		}
	}
}

func (c *Counting) wakeUp() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// add counts n of a counter. It returns false if the program has too many of them.
func (c *Counting) add(program, name string, n float64) bool {
	now := c.cfg.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.place(program, name, now) {
		return false
	}
	c.fresh[key{program, name, now.Truncate(counters.Step).Unix()}] += n
	c.wakeUp()
	return true
}

// place reports whether there is room for a counter of a program.
func (c *Counting) place(program, name string, now time.Time) bool {
	known := c.names[program]
	if known == nil {
		known = map[string]time.Time{}
		c.names[program] = known
	}
	if _, ok := known[name]; !ok && len(known) >= MaxNames {
		maps.DeleteFunc(known, func(_ string, grew time.Time) bool { return now.Sub(grew) > forget })
		if len(known) >= MaxNames {
			return false
		}
	}
	known[name] = now
	return true
}

// Flush hands over what was counted. It returns false if the ledger did not take it: then the
// next call tries again.
func (c *Counting) Flush(ctx context.Context) bool {
	c.flushing.Lock()
	defer c.flushing.Unlock()
	c.mu.Lock()
	fresh := c.fresh
	c.fresh = map[key]float64{}
	c.mu.Unlock()
	for k, n := range fresh {
		c.cfg.OnCount(k.program, k.name, n)
		c.waiting[k] += n
	}
	ctx, cancel := context.WithTimeout(ctx, flushTime)
	defer cancel()
	for keys := range slices.Chunk(c.oldest(), maxPiece) {
		list := make([]counters.Sum, 0, len(keys))
		for _, k := range keys {
			list = append(list, counters.Sum{Program: k.program, Name: k.name, At: time.Unix(k.at, 0), N: c.waiting[k]})
		}
		if err := c.cfg.Ledger.Add(ctx, c.cfg.Node, list); err != nil {
			if !c.away {
				c.cfg.Logger.Warn("counters not recorded; trying until they are", "err", err)
			}
			c.away = true
			return false
		}
		for _, k := range keys {
			delete(c.waiting, k)
		}
	}
	c.away, c.dropped = false, false
	return true
}

// oldest returns what waits, the oldest first, and drops the oldest of too many.
func (c *Counting) oldest() []key {
	keys := slices.SortedFunc(maps.Keys(c.waiting), func(a, b key) int {
		return cmp.Or(cmp.Compare(a.at, b.at), strings.Compare(a.program, b.program), strings.Compare(a.name, b.name))
	})
	if more := len(keys) - maxSums; more > 0 {
		for _, k := range keys[:more] {
			delete(c.waiting, k)
		}
		keys = keys[more:]
		if !c.dropped {
			c.dropped = true
			c.cfg.Logger.Warn("what was counted long ago is dropped: the ledger does not answer")
		}
	}
	return keys
}
