package worker

import (
	"context"
	"errors"
	"time"

	"github.com/runnerbean/runnerbean/internal/panics"
	"github.com/runnerbean/runnerbean/internal/queue"
)

// pollLimit is how long a server may take for an answer to a poll before the others are
// asked.
const pollLimit = 500 * time.Millisecond

// messageSource is where an executor gets its messages from: every server.
type messageSource struct {
	consumers []*queue.Consumer
	first     int // index of the server that is asked first
}

// openSource connects to servers on the first reserve.
func openSource(cfg queue.Config) (*messageSource, error) {
	s := &messageSource{}
	for _, addr := range cfg.Addrs {
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

// reserve waits for a message from any of the servers. The servers are asked one after the
// other, so that none has to take a message back, and each first in turn, so that no queue
// waits for the end of another. If none has a message, reserve waits for all of them.
func (s *messageSource) reserve(ctx context.Context, tubes []string) (*queue.Delivery, error) {
	if len(s.consumers) == 1 {
		return s.consumers[0].Reserve(ctx, tubes)
	}
	first := s.first
	s.first = (first + 1) % len(s.consumers)
	for i := range s.consumers {
		message, err := poll(ctx, s.consumers[(first+i)%len(s.consumers)], tubes)
		if err == nil && message == nil {
			err = ctx.Err()
		}
		if message != nil || err != nil {
			return message, err
		}
	}
	return s.await(ctx, tubes)
}

// poll returns a message that is ready on a server, or nil.
func poll(ctx context.Context, c *queue.Consumer, tubes []string) (*queue.Delivery, error) {
	ctx, cancel := context.WithTimeout(ctx, pollLimit)
	defer cancel()
	return c.Poll(ctx, tubes)
}

// await waits for a message from any of the servers. If two come at once, one goes back.
func (s *messageSource) await(ctx context.Context, tubes []string) (*queue.Delivery, error) {
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
