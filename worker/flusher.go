package worker

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/runnerbean/runnerbean/internal/queue"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/worker/internal/growinglog"
)

const (
	// logEvery is how often the log of a running program is stored while it changes.
	logEvery = time.Second
	// seriesEvery is how often the series of a running program is stored while it changes,
	// and bucketSeriesEvery where the store is a bucket, in which each write is paid for.
	seriesEvery       = 5 * time.Second
	bucketSeriesEvery = 10 * time.Second
)

// flusher stores the log and the series of a running attempt from time to time, and
// touches its message. An attempt that is shorter than logEvery ends before the first time.
type flusher struct {
	ctx     context.Context
	id      string // of the job
	attempt int
	run     *programRun
	message *queue.Delivery
	store   interface {
		Replace(ctx context.Context, key string, data []byte) error
	}
	growing *growinglog.Log // nil if the store can replace the log all the time
	logger  *slog.Logger

	timer *time.Timer
	quit  chan struct{}
	ended chan struct{}

	mu        sync.Mutex
	logStored int64 // bytes of the log that were written when it was stored
	added     int   // numbers in the series when that was stored
	warned    bool
	unkept    bool // the last append of the log failed, which was logged
}

// start runs the flusher within guard, on another goroutine, until stop.
func (f *flusher) start(guard func(func())) {
	f.quit, f.ended = make(chan struct{}), make(chan struct{})
	f.timer = time.AfterFunc(logEvery, func() { defer close(f.ended); guard(f.loop) })
}

func (f *flusher) loop() {
	logs, series, touches := time.NewTicker(logEvery), time.NewTicker(f.seriesEvery()), time.NewTicker(queue.TouchEvery)
	defer logs.Stop()
	defer series.Stop()
	defer touches.Stop()
	f.growLog(f.ctx)
	for {
		select {
		case <-f.quit:
			return
		case <-logs.C:
			f.growLog(f.ctx)
		case <-series.C:
			f.storeSeries(f.ctx)
		case <-touches.C:
			f.touch()
		}
	}
}

func (f *flusher) seriesEvery() time.Duration {
	if f.growing != nil {
		return bucketSeriesEvery
	}
	return seriesEvery
}

// growLog lets readers see what the program has written so far.
func (f *flusher) growLog(ctx context.Context) {
	if f.growing == nil {
		f.storeLog(ctx)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	err := f.growing.Grow(ctx)
	if err != nil && !f.unkept {
		f.logger.Warn("log not appended; trying until it is", "err", err)
	}
	f.unkept = err != nil
}

// endLog stores the log of a program that has ended. If the store is away, what the ledger
// has of the log stays there, and a node stores it later.
func (f *flusher) endLog(ctx context.Context) {
	stored := f.storeLog(ctx)
	if f.growing == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.growing.End(ctx, stored); err != nil {
		f.logger.Warn("log not completed in the ledger", "err", err)
	}
}

// touch keeps hold of the message. If that fails the job goes on: a node that gets the
// message asks the ledger, which says that the job runs.
func (f *flusher) touch() {
	if err := f.message.Touch(f.ctx); err != nil && !f.warned && f.ctx.Err() == nil {
		f.warned = true
		f.logger.Info("another node may reserve the message of a running job; the job goes on", "err", err)
	}
}

// storeLog stores the log if it has grown since it was stored last. It reports whether the
// store has all of it.
func (f *flusher) storeLog(ctx context.Context) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	total := f.run.log.Total()
	if total == f.logStored {
		return true
	}
	if err := f.store.Replace(ctx, store.LogKey(f.id, f.attempt), f.run.log.Snapshot()); err != nil {
		f.logger.Warn("log not stored", "err", err)
		return false
	}
	f.logStored = total
	return true
}

// storeSeries stores the series if it has grown since it was stored last.
func (f *flusher) storeSeries(ctx context.Context) {
	f.mu.Lock()
	defer f.mu.Unlock()
	added := f.run.series.Count()
	if added == f.added {
		return
	}
	document, err := f.run.series.Document(f.attempt)
	if err == nil {
		err = f.store.Replace(ctx, store.SeriesKey(f.id, f.attempt), document)
	}
	if err != nil {
		f.logger.Warn("progress over time not stored", "err", err)
		return
	}
	f.added = added
}

// stop returns when the flusher does not run any more.
func (f *flusher) stop() {
	close(f.quit)
	if !f.timer.Stop() {
		<-f.ended
	}
}
