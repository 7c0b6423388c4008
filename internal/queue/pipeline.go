package queue

import (
	"bytes"
	"context"
	"strconv"
	"sync"

	"github.com/runnerbean/runnerbean/internal/panics"
)

const (
	// window is how many puts are under way on one connection.
	window = 128
	// group is how many are sent at once, unless they have groupBytes before.
	// With less than a window there is always an answer to wait for.
	group      = 32
	groupBytes = 64 << 10
)

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
		c.wire.gather = &gather{whole: func() { line.written <- struct{}{} }}
		defer func() { c.wire.gather = nil }()
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

// gather is what a wire has of puts that are sent together.
type gather struct {
	data  []byte
	count int    // of whole commands in data
	rest  int    // bytes that the command in hand still lacks
	whole func() // told after every whole command
}

// Write implements io.Writer for go-beanstalk.
func (w *wire) Write(p []byte) (int, error) {
	g := w.gather
	if g == nil {
		return w.Conn.Write(p)
	}
	if g.rest == 0 {
		g.rest = putLength(p)
	}
	g.data = append(g.data, p...)
	if g.rest -= len(p); g.rest == 0 {
		g.count++
		g.whole()
	}
	return len(p), nil
}

// flush sends a group, a smaller one too if it must go now.
func (w *wire) flush(now bool) error {
	g := w.gather
	if g.count == 0 || !now && g.count < group && len(g.data) < groupBytes {
		return nil
	}
	_, err := w.Conn.Write(g.data)
	g.data, g.count = g.data[:0], 0
	return err
}

// putLength is the length of the whole command whose beginning p is: a use, if
// the tube changes, and a put with its body.
func putLength(p []byte) int {
	length := 0
	for line := range bytes.Lines(p) {
		length += len(line)
		if bytes.HasPrefix(line, []byte("put ")) {
			line = bytes.TrimSuffix(line, lineEnd)
			size, _ := strconv.Atoi(string(line[bytes.LastIndexByte(line, ' ')+1:]))
			return length + size + len(lineEnd)
		}
	}
	return length
}
