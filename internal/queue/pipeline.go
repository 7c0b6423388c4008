package queue

import (
	"bytes"
	"context"
	"strconv"
	"sync"
)

// window is how many puts are under way on one connection.
const window = 64

// PutAll puts many messages, in their order, as fast as one connection takes
// them. It returns as many receipts as there are messages. With an error, those
// that are zero belong to messages that were not put or may not have been; it
// stops at the first fault, and tries what is left on the next server, as Put
// does. A bad message is found before any is put.
func (p *Producer) PutAll(ctx context.Context, messages []Message) ([]Receipt, error) {
	receipts := make([]Receipt, len(messages))
	if len(messages) == 0 {
		return receipts, nil
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
		line := pipeline{conn: c, free: make(chan struct{}, window), written: make(chan struct{}, 1), failed: make(chan struct{})}
		c.wire.sent = func() { line.written <- struct{}{} }
		defer func() { c.wire.sent = nil }()
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
		wg.Go(func() { receipts[i] = l.put(m) })
		select {
		case <-l.written:
		case <-l.failed:
		}
	}
	wg.Wait()
	return l.err
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
	id, err := c.send(m)
	if err == nil {
		err = c.wire.extend(c.timeout)
	}
	if err != nil {
		l.once.Do(func() { l.err = err; close(l.failed) })
	}
	<-l.free
	if id == 0 {
		return Receipt{}
	}
	return Receipt{Addr: c.addr, Server: c.server, ID: id}
}

// Write implements io.Writer for go-beanstalk.
func (w *wire) Write(p []byte) (int, error) {
	if w.sent == nil {
		return w.Conn.Write(p)
	}
	if w.rest == 0 {
		w.rest = putLength(p)
	}
	n, err := w.Conn.Write(p)
	if w.rest -= n; w.rest == 0 {
		w.sent()
	}
	return n, err
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
