package queue

import (
	"context"
	"sync"

	"github.com/runnerbean/runnerbean/internal/panics"
)

// window is the largest number of puts under way on one connection.
const window = 128

// PutAll puts many messages, in their order, as fast as one connection takes
// them. It returns as many receipts as there are messages. With an error, those
// that are zero belong to messages that were not put or may not have been; it
// stops at the first fault, and tries what is left on the next server, as Put
// does. A bad message is found before any is put.
func (p *Producer) PutAll(ctx context.Context, messages []Message) ([]Receipt, error) {
	receipts := make([]Receipt, len(messages))
	switch len(messages) {
	case 0:
		return receipts, nil
	case 1:
		var err error
		receipts[0], err = p.Put(ctx, messages[0])
		return receipts, err
	}
	checked := make([]Message, len(messages))
	for i, m := range messages {
		var err error
		if checked[i], err = p.checked(m); err != nil {
			return receipts, err
		}
	}
	err := p.each(ctx, func(s *pool) error {
		return s.use(ctx, func(c *conn) error { return c.putAll(ctx, checked, receipts) })
	})
	return receipts, err
}

// putAll puts those messages that have no receipt yet.
func (c *conn) putAll(ctx context.Context, messages []Message, receipts []Receipt) error {
	cl := call{name: "put", want: putShape, notices: len(messages)}
	return c.do(ctx, cl, func() error {
		line := pipeline{
			conn: c, free: make(chan struct{}, window),
			written: make(chan struct{}, 1), failed: make(chan struct{}),
		}
		c.wire.puts = &putBuffer{record: func() { line.written <- struct{}{} }}
		defer func() { c.wire.puts = nil }()
		return line.run(messages, receipts)
	})
}

// pipeline sends puts before the answers to earlier ones are there. Each put
// has a goroutine, for go-beanstalk returns only with the answer; the next is
// started when the one before is on the wire, so that they keep their order.
type pipeline struct {
	conn    *conn
	free    chan struct{} // one for each put under way
	written chan struct{} // told after each put that was written

	once   sync.Once
	failed chan struct{} // closed at the first error
	err    error
}

func (l *pipeline) run(messages []Message, receipts []Receipt) error {
	var wg sync.WaitGroup
	for i, m := range messages {
		if receipts[i].ID != 0 {
			continue
		}
		if !l.enter() {
			break
		}
		ended := make(chan struct{})
		wg.Go(func() {
			defer close(ended)
			if err := panics.Call(func() error { receipts[i] = l.put(m); return nil }); err != nil {
				l.fail(err)
			}
		})
		select {
		case <-l.written:
		case <-ended: // failed, or answered before it was sent
			l.forget()
		}
		l.flush(false)
	}
	l.flush(true)
	wg.Wait()
	return l.err
}

// forget takes back what a put that has ended said of its writing, so that it
// is not taken for the next one's.
func (l *pipeline) forget() {
	select {
	case <-l.written:
	default:
	}
}

// flush sends what is gathered, if it is enough or must go. Nobody writes
// meanwhile.
func (l *pipeline) flush(now bool) {
	if err := l.conn.wire.flush(now); err != nil {
		l.fail(err)
		l.conn.discard()
	}
}

func (l *pipeline) fail(err error) {
	l.once.Do(func() { l.err = err; close(l.failed) })
}

// enter waits for room, and reports whether to go on.
func (l *pipeline) enter() bool {
	select {
	case l.free <- struct{}{}:
	case <-l.failed:
	}
	select {
	case <-l.failed:
		return false
	default:
		return true
	}
}

func (l *pipeline) put(m Message) Receipt {
	c := l.conn
	r, err := c.send(m)
	if err == nil {
		err = c.wire.extend(c.timeout)
	}
	if err != nil {
		l.fail(err)
	}
	<-l.free
	return r
}
