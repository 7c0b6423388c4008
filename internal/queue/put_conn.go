package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/runnerbean/runnerbean/internal/panics"
)

const (
	// maxConnPuts and maxConnBytes bound the unanswered puts on one connection, unless a
	// single one is larger.
	maxConnPuts  = 256
	maxConnBytes = 256 << 10
	// directBytes of unanswered commands fit into the buffers of the system, so that a
	// write does not wait. With more, the connection's own goroutine writes.
	directBytes = 32 << 10
	// readPuts is how many answers are handled together.
	readPuts = 64
)

// putHost is what a connection reports to.
type putHost interface {
	// answered handles answers in the order of their commands. After an error the
	// connection is not usable.
	answered(c *putConn, answers []putAnswer) error
	// lost is the last report. No other follows it.
	lost(c *putConn, err error)
	// broken closes the connection after a failed write.
	broken(c *putConn, err error)
	// unwritten returns what is to be written, and whether there is anything. It takes
	// back the buffer that was written before.
	unwritten(c *putConn, written []byte) ([]byte, bool)
}

// putConn is a connection that carries the puts of many callers. Commands are written in
// groups, and the answers come in the order of the commands.
type putConn struct {
	wire   *checkedConn
	server string
	wake   chan struct{} // tells the writer that there is something to write
	ended  chan struct{} // closed after the last report

	// The mutex of the server guards the fields below.
	number   int    // 1 for the first connection to the server
	inFlight fifo   // in the order of their commands
	bytes    int    // of the commands in flight
	tube     string // that the server uses after all commands so far
	buffer   []byte // commands that are not written yet
	spare    []byte
	writing  bool      // somebody writes, or is about to
	progress time.Time // of the last answer, or of the first command since there was none
	full     bool      // it was full, and half of the puts are not answered yet
	suspect  bool      // it has been silent for longer than usual
	cause    error     // why it was closed
}

// dialPuts connects for puts. It returns how long the server took to answer.
func dialPuts(ctx context.Context, cfg Config, addr string) (c *putConn, trip time.Duration, err error) {
	d, err := dial(ctx, cfg, addr)
	if err != nil {
		return nil, 0, err
	}
	if d.wire.in.Buffered() > 0 {
		d.discard()
		return nil, 0, fmt.Errorf("queue: %s: %w: more than was asked for", addr, ErrReply)
	}
	if err := d.wire.SetDeadline(time.Time{}); err != nil {
		d.discard()
		return nil, 0, fmt.Errorf("queue: %s: %w", addr, err)
	}
	return &putConn{
		wire: d.wire, server: d.server,
		wake: make(chan struct{}, 1), ended: make(chan struct{}),
		tube: "default", progress: time.Now(),
	}, d.trip, nil
}

// usable reports whether the connection seems to work.
func (c *putConn) usable() bool { return !c.suspect && c.cause == nil }

// room reports whether another put may be sent on the connection. After the connection was
// full it has room again when half of the puts are answered, so that many share a write.
func (c *putConn) room() bool {
	n := c.inFlight.len()
	switch {
	case n >= maxConnPuts || c.bytes >= maxConnBytes:
		c.full = true
	case n <= maxConnPuts/2 && c.bytes <= maxConnBytes/2:
		c.full = false
	}
	return !c.full && c.usable()
}

// add appends the command of a put to those that are to be written.
func (c *putConn) add(p *put, now time.Time) {
	p.uses = p.message.Tube != c.tube
	c.tube = p.message.Tube
	c.buffer = appendPut(c.buffer, &p.message, p.uses)
	if c.inFlight.len() == 0 {
		c.progress = now
	}
	c.inFlight.push(p)
	c.bytes += p.size
	p.state, p.message = putInFlight, Message{}
}

// take removes the oldest put in flight.
func (c *putConn) take() *put {
	p := c.inFlight.pop()
	c.bytes -= p.size
	return p
}

// swap returns what is to be written, and makes room for more.
func (c *putConn) swap() []byte {
	out := c.buffer
	c.buffer, c.spare = c.spare, nil
	return out
}

// wrote keeps a buffer that was written, unless it has grown large.
func (c *putConn) wrote(buffer []byte) {
	if buffer != nil && cap(buffer) <= 2*maxConnBytes {
		c.spare = buffer[:0]
	}
}

// signal wakes the writer.
func (c *putConn) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// silent returns for how long the oldest command in flight has waited since the last
// answer.
func (c *putConn) silent(now time.Time) time.Duration {
	if c.inFlight.len() == 0 {
		return 0
	}
	return now.Sub(c.progress)
}

// fail closes the connection. The reader then reports err.
func (c *putConn) fail(err error) {
	if c.cause == nil {
		c.cause = err
	}
	_ = c.wire.Close()
}

// run reads answers until the connection ends, and reports that.
func (c *putConn) run(host putHost) {
	var err error
	if caught := panics.Call(func() error { err = c.read(host); return nil }); caught != nil {
		err = caught
	}
	_ = c.wire.Close()
	close(c.ended)
	host.lost(c, err)
}

func (c *putConn) read(host putHost) error {
	var answers [readPuts]putAnswer
	for {
		n := 0
		for n == 0 || n < len(answers) && c.wire.in.Buffered() > 0 {
			line, err := c.wire.readLine()
			if err == nil {
				answers[n], err = parsePutAnswer(line)
			}
			if err != nil {
				return errors.Join(host.answered(c, answers[:n]), err)
			}
			n++
		}
		if err := host.answered(c, answers[:n]); err != nil {
			return err
		}
	}
}

// write writes what the host has until the connection ends.
func (c *putConn) write(host putHost) {
	err := panics.Call(func() error {
		for {
			select {
			case <-c.wake:
			case <-c.ended:
				return nil
			}
			var err error
			for out, more := host.unwritten(c, nil); more && err == nil; out, more = host.unwritten(c, out) {
				_, err = c.wire.Conn.Write(out)
			}
			if err != nil {
				return err
			}
		}
	})
	if err != nil {
		host.broken(c, err)
	}
}

// putAnswer is one line that answers a put or the use before it.
type putAnswer struct {
	notice bool
	id     uint64
	err    error // the server refused the put
	memory bool  // the refusal may be that of a use command
}

// putRefusals are the answers that refuse a put and leave the connection in step.
var putRefusals = map[string]error{
	"JOB_TOO_BIG": ErrTooBig, "DRAINING": ErrDraining, "INTERNAL_ERROR": ErrRefused, "OUT_OF_MEMORY": ErrFull,
}

// parsePutAnswer parses a line with its end. After an error the connection is not usable.
func parsePutAnswer(line []byte) (putAnswer, error) {
	text := string(line[:len(line)-len(lineEnd)])
	if err, ok := putRefusals[text]; ok {
		return putAnswer{err: err, memory: text == "OUT_OF_MEMORY"}, nil
	}
	r, err := putShape.parse(text)
	return putAnswer{notice: r.notice, id: r.id}, err
}
