package worker

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
)

// reportEvery is the shortest time between two reports on one job; what comes
// in between is merged.
const reportEvery = 250 * time.Millisecond

// reporter tells the ledger what a running program says about itself. A
// program that says nothing costs nothing.
type reporter struct {
	a   *attempt
	ctx context.Context

	mu      sync.Mutex
	pending ledger.Live
	dirty   bool
	bad     int // lines that could not be read

	wake        chan struct{}
	quit, ended chan struct{} // nil until the first event
}

func (a *attempt) reporter(ctx context.Context) *reporter { return &reporter{a: a, ctx: ctx} }

// event takes one line. It is called from one goroutine.
func (r *reporter) event(line []byte) { r.a.aside(func() { r.take(line) }) }

func (r *reporter) take(line []byte) {
	r.a.pass("event")
	e, err := decodeEvent(line)
	if err != nil {
		if r.bad++; r.bad <= 3 {
			fmt.Fprintf(&r.a.log, "runnerbean: an event line is ignored: %v\n", err)
		}
		return
	}
	r.a.series.add(time.Since(r.a.start), e.Progress, e.Counters)
	r.merge(e)
	if r.quit == nil {
		r.wake, r.quit, r.ended = make(chan struct{}, 1), make(chan struct{}), make(chan struct{})
		go func() { defer close(r.ended); r.a.aside(r.run) }()
	}
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func (r *reporter) merge(e event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dirty = true
	r.pending.Updated = time.Now().UTC()
	if e.Progress != nil {
		r.pending.Progress = e.Progress
	}
	if e.Message != nil {
		r.pending.Message = *e.Message
	}
	if len(e.Partial) > 0 {
		r.pending.Partial = []byte(e.Partial)
	}
	r.count(e.Counters)
}

// count merges counters into a new map: the old one may be on its way.
func (r *reporter) count(counters map[string]float64) {
	if len(counters) == 0 {
		return
	}
	merged := make(map[string]float64, len(r.pending.Counters)+len(counters))
	for name, n := range r.pending.Counters {
		merged[name] = n
	}
	for name, n := range counters {
		name = clean(name, maxCounterName)
		if _, known := merged[name]; known || len(merged) < maxCounters {
			merged[name] = n
		}
	}
	r.pending.Counters = merged
}

func (r *reporter) run() {
	for {
		select {
		case <-r.quit:
			r.send()
			return
		case <-r.wake:
		}
		r.send()
		select {
		case <-r.quit:
			r.send()
			return
		case <-time.After(reportEvery):
		}
	}
}

// send reports what is new. A partial result goes once: the ledger keeps it.
func (r *reporter) send() {
	r.mu.Lock()
	live, dirty := r.pending, r.dirty
	r.dirty, r.pending.Partial = false, nil
	r.mu.Unlock()
	if !dirty {
		return
	}
	ctx, cancel := outlive(r.ctx, settleTime)
	defer cancel()
	err := r.a.cfg.Ledger.Report(ctx, r.a.record.ID, r.a.record.Attempt, live)
	switch {
	case stale(err):
		r.a.cancel(errStale)
	case err != nil:
		r.a.logger.Warn("progress not recorded", "err", err)
	}
}

// stop reports the rest; no event may come after it.
func (r *reporter) stop() {
	if r.quit != nil {
		close(r.quit)
		<-r.ended
	}
}
