package queue

import (
	"context"
	"sync"

	"github.com/runnerbean/runnerbean/internal/panics"
)

// window is the largest number of unanswered puts on one connection.
const window = 128

// PutAll puts messages in order, without waiting for each answer. It returns one receipt
// for each message. It checks all messages before it puts any. After a failure it tries
// the remaining messages on the next server, as Put does. If it returns an error, a zero
// receipt means that the message was not put or that its fate is unknown.
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

// putAll puts the messages that have no receipt yet.
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

// pipeline sends puts before earlier ones are answered. Each put has a goroutine because
// go-beanstalk returns only after the answer. The next put starts after the previous one
// was written, which keeps the order.
type pipeline struct {
	conn    *conn
	free    chan struct{} // one value for each unanswered put
	written chan struct{} // receives a value after each put is written

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
		case <-ended: // failed, or answered before it was written
			l.forget()
		}
		l.flush(false)
	}
	l.flush(true)
	wg.Wait()
	return l.err
}

// forget drains written after a put has ended, so that its value is not taken for that of
// the next put.
func (l *pipeline) forget() {
	select {
	case <-l.written:
	default:
	}
}

// flush sends the collected puts if they fill a batch, or if now is set. No put may write
// at the same time.
func (l *pipeline) flush(now bool) {
	if err := l.conn.wire.flush(now); err != nil {
		l.fail(err)
		l.conn.discard()
	}
}

func (l *pipeline) fail(err error) {
	l.once.Do(func() { l.err = err; close(l.failed) })
}

// enter waits until another put may start. It returns false after a failure.
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
