package ledger

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/changes"
)

// externalEvery is the interval of the checks. A tenth of it would cost an idle node
// three times as much as everything else that it does.
const externalEvery = time.Second

// externalCommits calls listeners after another process has written to the file.
type externalCommits struct {
	queue *writeQueue
	log   *slog.Logger

	listeners changes.Listeners
	every     time.Duration
	first     sync.Once
	looks     atomic.Int64
	wg        sync.WaitGroup
}

// add adds a listener. The first one starts the checks.
func (c *externalCommits) add(f func()) (remove func()) {
	c.queue.sending.RLock()
	defer c.queue.sending.RUnlock()
	if !c.queue.closed {
		c.first.Do(func() { c.wg.Go(c.watch) })
	}
	return c.listeners.Add(func([]string) { f() })
}

// watch checks until the ledger is closed.
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
			c.listeners.Notify(c.log, []string{""})
		}
		c.looks.Add(1)
	}
}

// version returns a number that changes with commits of other connections, but not with
// those of the writer. It has that meaning only on the connection of the writer.
func (c *externalCommits) version() (int64, bool) {
	answer := make(chan int64, 1)
	select {
	case c.queue.versions <- answer:
		return <-answer, true
	case <-c.queue.done:
		return 0, false
	}
}
