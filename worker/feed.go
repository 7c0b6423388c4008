package worker

import (
	"context"
	"errors"

	"github.com/runnerbean/runnerbean/internal/panics"
	"github.com/runnerbean/runnerbean/internal/queue"
)

// feed is where a slot gets its messages from: one server or, where there are
// fewer slots than servers, several.
type feed struct {
	consumers []*queue.Consumer
}

// share are the servers of slot i of n: slots are dealt out to servers round
// robin or, where there are fewer of them, servers to slots.
func share(addrs []string, i, n int) []string {
	if n >= len(addrs) {
		return addrs[i%len(addrs):][:1]
	}
	var mine []string
	for ; i < len(addrs); i += n {
		mine = append(mine, addrs[i])
	}
	return mine
}

// openFeed opens the feed of some servers.
func openFeed(cfg queue.Config, addrs []string) (*feed, error) {
	f := &feed{}
	for _, addr := range addrs {
		cfg.Addrs = []string{addr}
		c, err := queue.NewConsumer(cfg)
		if err != nil {
			return nil, errors.Join(err, f.close())
		}
		f.consumers = append(f.consumers, c)
	}
	return f, nil
}

func (f *feed) close() error {
	var errs []error
	for _, c := range f.consumers {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

type answer struct {
	message *queue.Delivery
	err     error
}

// reserve waits for a message from any of the servers. Of two that come at
// once, one goes back.
func (f *feed) reserve(ctx context.Context, tubes []string) (*queue.Delivery, error) {
	if len(f.consumers) == 1 {
		return f.consumers[0].Reserve(ctx, tubes)
	}
	first, cancel := context.WithCancel(ctx)
	defer cancel()
	answers := make(chan answer, len(f.consumers))
	for _, c := range f.consumers {
		go func() {
			var a answer
			a.err = panics.Call(func() (err error) { a.message, err = c.Reserve(first, tubes); return err })
			answers <- a
		}()
	}
	var got answer
	for range f.consumers {
		next := <-answers
		switch {
		case got.message == nil:
			got = next
			if next.message != nil {
				cancel()
			}
		case next.message != nil:
			// If this fails it comes again when the connection ends.
			_ = next.message.Return(ctx, 0)
		}
	}
	return got.message, got.err
}
