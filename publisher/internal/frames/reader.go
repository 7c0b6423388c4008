// Package frames makes the part of a page that shows the frames of a batch: how many there are in
// each state, a cell for each of them or for neighbouring ones, and the slowest.
package frames

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/batches"
	"github.com/runnerbean/runnerbean/internal/published"
	"github.com/runnerbean/runnerbean/jobs"
)

const (
	// maxCells is how many cells a page has at most. A batch with more frames gets cells of
	// neighbouring frames.
	maxCells = 1000
	// maxRows is how many rows the table of the slowest frames has at most.
	maxRows = 100
)

// Reader reads what pages show of the frames of batches. Many may use it at one time.
type Reader struct {
	cfg    Config
	cache  cache
	images images
}

// Config of a Reader. All of it is required.
type Config struct {
	Batches *batches.Batches
	// Record returns the record of a job.
	Record  func(ctx context.Context, id string) (ledger.Record, error)
	Results *published.Results
}

// NewReader returns a Reader.
func NewReader(cfg Config) *Reader { return &Reader{cfg: cfg, images: images{results: cfg.Results}} }

// Forget makes the next views show what has been changed.
func (r *Reader) Forget() { r.cache.forget() }

// summary is how a batch stands, as internal/batch writes it.
type summary struct {
	Frames    int        `json:"frames"`
	Succeeded int        `json:"succeeded"`
	Failed    int        `json:"failed"`
	Cancelled int        `json:"cancelled"`
	Running   int        `json:"running"`
	Queued    int        `json:"queued"`
	Waiting   int        `json:"waiting"`
	Deleted   int        `json:"deleted"`
	Seconds   *spread    `json:"seconds"`
	Ends      *time.Time `json:"ends"`
	Bundle    string     `json:"bundle"`
}

// spread is a distribution of run times, in seconds.
type spread struct {
	Mean float64 `json:"mean"`
	P10  float64 `json:"p10"`
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	Max  float64 `json:"max"`
}

// in returns how many frames are in a state.
func (s *summary) in(state jobs.State) int {
	switch state {
	case jobs.Waiting:
		return s.Waiting
	case jobs.Queued:
		return s.Queued
	case jobs.Running:
		return s.Running
	case jobs.Succeeded:
		return s.Succeeded
	case jobs.Failed:
		return s.Failed
	case jobs.Cancelled:
		return s.Cancelled
	}
	return 0
}

func (s *summary) ended() int { return s.Succeeded + s.Failed + s.Cancelled + s.Deleted }

// summary returns how a batch stands. A batch that runs or has succeeded says it itself.
func (r *Reader) summary(ctx context.Context, job jobs.Result) (s summary, err error) {
	told := job.Partial
	if job.State == jobs.Succeeded {
		told = job.Result
	}
	if len(told) > 0 && json.Unmarshal(told, &s) == nil && s.Frames > 0 {
		return s, nil
	}
	return cached(ctx, &r.cache, "summary "+job.ID, func(ctx context.Context) (summary, error) { return r.count(ctx, job.ID) })
}

// count counts the frames of a batch. Their run times are those of the last report of the batch.
func (r *Reader) count(ctx context.Context, batch string) (s summary, err error) {
	rec, err := r.cfg.Record(ctx, batch)
	if err != nil {
		return s, err
	}
	if len(rec.Live.Partial) > 0 && json.Unmarshal(rec.Live.Partial, &s) != nil {
		s = summary{}
	}
	n, err := r.cfg.Batches.States(ctx, batch)
	if err != nil {
		return s, err
	}
	s.Succeeded, s.Failed, s.Cancelled = n[jobs.Succeeded], n[jobs.Failed], n[jobs.Cancelled]
	s.Running, s.Queued, s.Waiting, s.Deleted, s.Ends = n[jobs.Running], n[jobs.Queued], n[jobs.Waiting], 0, nil
	s.Frames = max(s.Frames, s.ended()+s.Running+s.Queued+s.Waiting)
	return s, nil
}

// bounds are the smallest and the largest number of the frames that the ledger has, and how many
// it has.
type bounds struct{ first, last, n int }

func (r *Reader) bounds(ctx context.Context, batch string) (bounds, error) {
	return cached(ctx, &r.cache, "bounds "+batch, func(ctx context.Context) (b bounds, err error) {
		b.first, b.last, b.n, err = r.cfg.Batches.Bounds(ctx, batch)
		return b, err
	})
}

// list returns the frames that a query selects, by number: at most maxCells, and one more if there
// are more.
func (r *Reader) list(ctx context.Context, batch string, q Query) ([]batches.Frame, error) {
	key := fmt.Sprintf("list %s %s %d %d", batch, q.State, q.First, q.Last)
	return cached(ctx, &r.cache, key, func(ctx context.Context) ([]batches.Frame, error) {
		return r.cfg.Batches.List(ctx, batch, q.State, q.First, q.Last, maxCells+1)
	})
}

// slowest returns the frames that have ended and ran longest.
func (r *Reader) slowest(ctx context.Context, batch string) ([]batches.Frame, error) {
	return cached(ctx, &r.cache, "slowest "+batch, func(ctx context.Context) ([]batches.Frame, error) {
		return r.cfg.Batches.Slowest(ctx, batch, maxRows)
	})
}

// overview are all frames of a batch, or ranges of them where there are more than maxCells.
type overview struct {
	frames []batches.Frame
	ranges []batches.Range
	width  int // of the ranges; 0 for frames
	last   int // the largest number
}

func (r *Reader) overview(ctx context.Context, batch string) (overview, error) {
	return cached(ctx, &r.cache, "overview "+batch, func(ctx context.Context) (o overview, err error) {
		var first, n int
		if first, o.last, n, err = r.cfg.Batches.Bounds(ctx, batch); err != nil {
			return o, err
		}
		if n > maxCells {
			o.width = rangeWidth(first, o.last)
			o.ranges, err = r.cfg.Batches.Ranges(ctx, batch, o.width, maxCells*len(jobs.States))
			return o, err
		}
		o.frames, err = r.cfg.Batches.List(ctx, batch, "", first, o.last, maxCells)
		return o, err
	})
}

// rangeWidth returns the width of the ranges that divide numbers into at most maxCells: one, two or
// five times a power of ten.
func rangeWidth(first, last int) int {
	for width := 1; ; width *= 10 {
		for _, w := range []int{width, 2 * width, 5 * width} {
			if last/w-first/w < maxCells {
				return w
			}
		}
	}
}
