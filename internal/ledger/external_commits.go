package ledger

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// externalEvery is how often it is looked whether another process has written. A
// tenth of it would cost an idle node three times what all the rest does.
const externalEvery = time.Second

// externalCommits tells listeners that another process has written to the same file.
type externalCommits struct {
	queue *writeQueue
	log   *slog.Logger

	listeners listeners
	every     time.Duration
	first     sync.Once
	looks     atomic.Int64
	wg        sync.WaitGroup
}

// add adds a listener, and looks from then on.
func (c *externalCommits) add(f func()) (remove func()) {
	c.queue.sending.RLock()
	defer c.queue.sending.RUnlock()
	if !c.queue.closed {
		c.first.Do(func() { c.wg.Go(c.watch) })
	}
	return c.listeners.add(func([]string) { f() })
}

// watch looks until the ledger is closed.
func (c *externalCommits) watch() {
	ticker := time.NewTicker(c.every)
	defer ticker.Stop()
	known, ok := c.version()
	for ok {
		select {
		case <-ticker.C:
		case <-c.queue.done:
			return
		}
		var now int64
		if now, ok = c.version(); ok && now != known {
			known = now
			c.listeners.notify(c.log, []string{""})
		}
		c.looks.Add(1)
	}
}

// version is a number that other connections' commits change, but not those
// of the writer's own; only on its connection it has that meaning.
func (c *externalCommits) version() (int64, bool) {
	answer := make(chan int64, 1)
	select {
	case c.queue.versions <- answer:
		return <-answer, true
	case <-c.queue.done:
		return 0, false
	}
}
