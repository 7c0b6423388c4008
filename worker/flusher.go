package worker

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/runnerbean/runnerbean/internal/queue"
	"github.com/runnerbean/runnerbean/internal/store"
)

const (
	// logEvery is how often the log of a running program is stored while it changes.
	logEvery = time.Second
	// seriesEvery is how often the series of a running program is stored while it
	// changes.
	seriesEvery = 5 * time.Second
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
	logger *slog.Logger

	timer *time.Timer
	quit  chan struct{}
	ended chan struct{}

	mu        sync.Mutex
	logStored int64 // bytes of the log that were written when it was stored
	added     int   // numbers in the series when that was stored
	warned    bool
}

// start runs the flusher within guard, on another goroutine, until stop.
func (f *flusher) start(guard func(func())) {
	f.quit, f.ended = make(chan struct{}), make(chan struct{})
	f.timer = time.AfterFunc(logEvery, func() { defer close(f.ended); guard(f.loop) })
}

func (f *flusher) loop() {
	logs, series, touches := time.NewTicker(logEvery), time.NewTicker(seriesEvery), time.NewTicker(queue.TouchEvery)
	defer logs.Stop()
	defer series.Stop()
	defer touches.Stop()
	f.storeLog(f.ctx)
	for {
		select {
		case <-f.quit:
			return
		case <-logs.C:
			f.storeLog(f.ctx)
		case <-series.C:
			f.storeSeries(f.ctx)
		case <-touches.C:
			f.touch()
		}
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

// storeLog stores the log if it has grown since it was stored last.
func (f *flusher) storeLog(ctx context.Context) {
	f.mu.Lock()
	defer f.mu.Unlock()
	total := f.run.log.Total()
	if total == f.logStored {
		return
	}
	if err := f.store.Replace(ctx, store.LogKey(f.id, f.attempt), f.run.log.Snapshot()); err != nil {
		f.logger.Warn("log not stored", "err", err)
		return
	}
	f.logStored = total
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
