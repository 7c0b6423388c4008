package worker

import (
	"context"
	"sync"
	"time"

	"github.com/runnerbean/runnerbean/internal/queue"
	"github.com/runnerbean/runnerbean/internal/store"
)

const (
	// logEvery is how often the log of a running program is stored while it
	// changes.
	logEvery = time.Second
	// seriesEvery is how often the series of a running program is stored while it
	// changes.
	seriesEvery = 5 * time.Second
)

// keeper does what a long attempt needs from time to time: it stores the log
// and keeps hold of the message. A short one ends before the first time.
type keeper struct {
	a       *attempt
	ctx     context.Context
	message *queue.Delivery
	timer   *time.Timer
	quit    chan struct{}
	ended   chan struct{}

	mu     sync.Mutex
	stored int64 // how much log had been written when it was stored
	said   int   // how often the program had said a number when that was stored
	warned bool
}

func (a *attempt) keep(ctx context.Context, message *queue.Delivery) *keeper {
	k := &keeper{a: a, ctx: ctx, message: message, quit: make(chan struct{}), ended: make(chan struct{})}
	k.timer = time.AfterFunc(logEvery, func() { defer close(k.ended); a.aside(k.run) })
	return k
}

func (k *keeper) run() {
	logs, series, touches := time.NewTicker(logEvery), time.NewTicker(seriesEvery), time.NewTicker(queue.TouchEvery)
	defer logs.Stop()
	defer series.Stop()
	defer touches.Stop()
	k.storeLog(k.ctx)
	for {
		select {
		case <-k.quit:
			return
		case <-logs.C:
			k.storeLog(k.ctx)
		case <-series.C:
			k.storeSeries(k.ctx)
		case <-touches.C:
			k.touch()
		}
	}
}

// touch keeps the message ours. If that fails the job goes on: others who get
// the message ask the ledger, and it says that the job runs.
func (k *keeper) touch() {
	if err := k.message.Touch(k.ctx); err != nil && !k.warned && k.ctx.Err() == nil {
		k.warned = true
		k.a.logger.Info("the message of a running job is not ours any more; the job goes on", "err", err)
	}
}

// storeLog stores the log if there is more of it than when it was stored last.
func (k *keeper) storeLog(ctx context.Context) {
	k.mu.Lock()
	defer k.mu.Unlock()
	total := k.a.log.Total()
	if total == k.stored {
		return
	}
	key := store.LogKey(k.a.record.ID, k.a.record.Attempt)
	if err := k.a.cfg.Store.Replace(ctx, key, k.a.log.Snapshot()); err != nil {
		k.a.logger.Warn("log not stored", "err", err)
		return
	}
	k.stored = total
}

// storeSeries stores what the program has said of itself over time, if that is
// more than when it was stored last.
func (k *keeper) storeSeries(ctx context.Context) {
	k.mu.Lock()
	defer k.mu.Unlock()
	said := k.a.series.count()
	if said == k.said {
		return
	}
	document, err := k.a.series.document(k.a.record.Attempt)
	if err == nil {
		err = k.a.cfg.Store.Replace(ctx, store.SeriesKey(k.a.record.ID, k.a.record.Attempt), document)
	}
	if err != nil {
		k.a.logger.Warn("progress over time not stored", "err", err)
		return
	}
	k.said = said
}

// stop ends the keeper.
func (k *keeper) stop() {
	close(k.quit)
	if !k.timer.Stop() {
		<-k.ended
	}
}
