package ledger

import (
	"sync"
	"sync/atomic"
	"time"
)

// foreignEvery is how often it is looked whether another process has written. A
// tenth of it would cost an idle node three times what all the rest does.
const foreignEvery = time.Second

// foreign tells listeners that another process has written to the same file.
type foreign struct {
	listeners
	every time.Duration
	first sync.Once
	looks atomic.Int64
	wg    sync.WaitGroup
}

// OnForeign calls f soon after another process, or another Ledger of this one,
// has committed to the same file; what it changed is not known. Several commits
// in a second are told once. f must return at once and must not call
// the ledger. remove ends it.
func (l *Ledger) OnForeign(f func()) (remove func()) {
	l.queue.gate.RLock()
	defer l.queue.gate.RUnlock()
	if !l.queue.closed {
		l.foreign.first.Do(func() { l.foreign.wg.Go(l.watchForeign) })
	}
	return l.foreign.add(func([]string) { f() })
}

// watchForeign looks until the ledger is closed.
func (l *Ledger) watchForeign() {
	ticker := time.NewTicker(l.foreign.every)
	defer ticker.Stop()
	known, ok := l.dataVersion()
	for ok {
		select {
		case <-ticker.C:
		case <-l.queue.done:
			return
		}
		var now int64
		if now, ok = l.dataVersion(); ok && now != known {
			known = now
			l.foreign.tell(l.log, []string{""})
		}
		l.foreign.looks.Add(1)
	}
}

// dataVersion is a number that other connections' commits change, but not those
// of the writer's own; only on its connection it has that meaning.
func (l *Ledger) dataVersion() (int64, bool) {
	answer := make(chan int64, 1)
	select {
	case l.queue.versions <- answer:
		return <-answer, true
	case <-l.queue.done:
		return 0, false
	}
}
