// Package progress passes on what a running program says about itself.
package progress

import (
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/chunks"
	"github.com/runnerbean/runnerbean/internal/logtext"
)

// reportEvery is the shortest time between two reports on one job. Events in between
// are merged.
const reportEvery = 250 * time.Millisecond

// maxBegun bounds the chunks of one report. If there are more the oldest are left out.
const maxBegun = 64

// Config of a Reporter. All fields but Job, Count and Saved are required.
type Config struct {
	// Job is the id of the job if its process runs other jobs, too; else empty. Events
	// that do not name it are then ignored.
	Job string
	// Start of the attempt.
	Start time.Time
	// Log gets a line for the first events that cannot be read.
	Log io.Writer
	// Series gets the numbers of all events.
	Series *Series
	// Report records what is new. It is called on another goroutine, within Guard.
	Report func(ledger.Live)
	// Count gets the counters of each event. Default: nothing.
	Count func(map[string]float64)
	// Enqueue makes a job of what the program asks for. It is called by Event.
	Enqueue func(request jsontext.Value)
	// Saved is called when the program has saved a checkpoint. It must return at once.
	// Default: nothing.
	Saved func()
	// Guard calls a function and handles its panic.
	Guard func(func())
}

// Reporter merges the events of a program and reports them. Without an event it starts
// nothing.
type Reporter struct {
	cfg Config

	mu      sync.Mutex
	pending ledger.Live
	dirty   bool
	bad     int // events that could not be read
	foreign int // events that do not name the job
	chunk   chunk
	begun   int // chunks

	wake        chan struct{}
	quit, ended chan struct{} // nil until the first event
}

// NewReporter returns a Reporter. The caller calls Stop.
func NewReporter(cfg Config) *Reporter { return &Reporter{cfg: cfg} }

// Event takes one line. It must not be called by several goroutines.
func (r *Reporter) Event(line []byte) {
	e, err := decodeEvent(line)
	if err != nil {
		if r.bad++; r.bad <= 3 {
			fmt.Fprintf(r.cfg.Log, "runnerbean: an event line is ignored: %v\n", err)
		}
		return
	}
	if r.cfg.Job != "" && !e.names(r.cfg.Job) {
		r.foreign++
		return
	}
	if len(e.Enqueue) > 0 {
		r.cfg.Enqueue(e.Enqueue)
	}
	if r.cfg.Saved != nil && string(e.Saved) == "true" {
		r.cfg.Saved()
	}
	if r.cfg.Count != nil && len(e.Counters) > 0 {
		r.cfg.Count(e.Counters)
	}
	r.cfg.Series.add(time.Since(r.cfg.Start), e.Progress, e.Counters)
	r.merge(e)
	if r.quit == nil {
		r.wake, r.quit, r.ended = make(chan struct{}, 1), make(chan struct{}), make(chan struct{})
		go func() { defer close(r.ended); r.cfg.Guard(r.run) }()
	}
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// merge adds an event to the next report.
func (r *Reporter) merge(e event) {
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
	r.begin(e.chunk)
	r.count(e.Counters)
}

// begin adds a chunk to those of the next report, unless the program works on it already.
func (r *Reporter) begin(c *chunk) {
	if c == nil || r.chunk == *c {
		return
	}
	r.chunk = *c
	r.begun++
	list := append(r.pending.Chunks, chunks.Chunk{ID: c.id, Of: c.of, Number: r.begun, Began: time.Now().UTC()})
	if len(list) > maxBegun {
		list = slices.Clone(list[len(list)-maxBegun:])
	}
	r.pending.Chunks = list
}

// count merges counters into a new map. A report may still use the old one.
func (r *Reporter) count(counters map[string]float64) {
	if len(counters) == 0 {
		return
	}
	merged := make(map[string]float64, len(r.pending.Counters)+len(counters))
	for name, n := range r.pending.Counters {
		merged[name] = n
	}
	for name, n := range counters {
		name = logtext.Clean(name, maxCounterName)
		if _, known := merged[name]; known || len(merged) < maxCounters {
			merged[name] = n
		}
	}
	r.pending.Counters = merged
}

// run reports what has changed, at most every reportEvery, until Stop.
func (r *Reporter) run() {
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

// send reports what is new. A partial result and chunks go once: the ledger keeps them.
func (r *Reporter) send() {
	r.mu.Lock()
	live, dirty := r.pending, r.dirty
	r.dirty, r.pending.Partial, r.pending.Chunks = false, nil, nil
	r.mu.Unlock()
	if dirty {
		r.cfg.Report(live)
	}
}

// Stop reports the rest. No event may come after it.
func (r *Reporter) Stop() {
	if r.foreign > 0 {
		fmt.Fprintf(r.cfg.Log, "runnerbean: %d events are ignored: they do not have the id of this job\n", r.foreign)
	}
	if r.quit != nil {
		close(r.quit)
		<-r.ended
	}
}
