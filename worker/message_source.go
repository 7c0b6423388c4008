package worker

import (
	"context"
	"errors"

	"github.com/runnerbean/runnerbean/internal/panics"
	"github.com/runnerbean/runnerbean/internal/queue"
)

// messageSource is where a slot gets its messages from: one server or, if there are
// fewer slots than servers, several.
type messageSource struct {
	consumers []*queue.Consumer
}

// serversOf returns the servers of slot i of n: one, in turn, or several if there are
// fewer slots than servers.
func serversOf(addrs []string, i, n int) []string {
	if n >= len(addrs) {
		return addrs[i%len(addrs):][:1]
	}
	var mine []string
	for ; i < len(addrs); i += n {
		mine = append(mine, addrs[i])
	}
	return mine
}

// openSource connects to servers on the first reserve.
func openSource(cfg queue.Config, addrs []string) (*messageSource, error) {
	s := &messageSource{}
	for _, addr := range addrs {
		cfg.Addrs = []string{addr}
		c, err := queue.NewConsumer(cfg)
		if err != nil {
			return nil, errors.Join(err, s.close())
		}
		s.consumers = append(s.consumers, c)
	}
	return s, nil
}

func (s *messageSource) close() error {
	var errs []error
	for _, c := range s.consumers {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// answer is what one server has answered.
type answer struct {
	message *queue.Delivery
	err     error
}

// reserve waits for a message from any of the servers. If two come at once, one goes
// back.
func (s *messageSource) reserve(ctx context.Context, tubes []string) (*queue.Delivery, error) {
	if len(s.consumers) == 1 {
		return s.consumers[0].Reserve(ctx, tubes)
	}
	first, cancel := context.WithCancel(ctx)
	defer cancel()
	answers := make(chan answer, len(s.consumers))
	for _, c := range s.consumers {
		go func() {
			var a answer
			a.err = panics.Call(func() (err error) { a.message, err = c.Reserve(first, tubes); return err })
			answers <- a
		}()
	}
	var got answer
	for range s.consumers {
		next := <-answers
		switch {
		case got.message == nil:
			got = next
			if next.message != nil {
				cancel()
			}
		case next.message != nil:
			// If this fails the message comes again when the connection ends.
			_ = next.message.Return(ctx, 0)
		}
	}
	return got.message, got.err
}
