package dispatch

import (
	"context"
	"sync"

	"github.com/runnerbean/runnerbean/internal/ledger"
)

// maxUnmarked bounds what is remembered of messages that are put and not marked.
const maxUnmarked = 10 * round

// unmarked are messages that were put while the ledger did not take it in. They
// are marked before any other is put again: else a ledger that refuses to write
// would have the reconciler fill beanstalkd.
type unmarked struct {
	mu   sync.Mutex
	list []ledger.Sent
}

func (u *unmarked) add(sent []ledger.Sent) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.list = append(u.list, sent[:min(len(sent), maxUnmarked-len(u.list))]...)
}

func (u *unmarked) take() []ledger.Sent {
	u.mu.Lock()
	defer u.mu.Unlock()
	list := u.list
	u.list = nil
	return list
}

// mark tells the ledger where messages are.
func (d *Dispatcher) mark(ctx context.Context, sent []ledger.Sent) error {
	if len(sent) == 0 {
		return nil
	}
	err := d.cfg.Ledger.MarkSent(ctx, sent)
	if err != nil {
		d.unmarked.add(sent)
	}
	return err
}

// markRest marks what could not be marked before.
func (d *Dispatcher) markRest(ctx context.Context) error { return d.mark(ctx, d.unmarked.take()) }
