// Package queue is Runnerbean's client of beanstalkd. It wraps go-beanstalk so that every
// operation has a time limit, every reply is checked, and a connection is never used
// again after an error.
//
// It delivers messages at least once. If the answer to a put is lost, the put may have
// succeeded, and the next server gets the message too.
package queue

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

const (
	// RunTTR is how long a node may hold a message of a run tube without a touch.
	RunTTR = 120 * time.Second
	// TouchEvery is how often a node touches the messages that it holds. One touch may be
	// late or fail without losing the message.
	TouchEvery = RunTTR / 3
)

// Defaults of Config and Message.
const (
	// DefaultAddr is the default address of beanstalkd.
	DefaultAddr = "127.0.0.1:11300"
	// DefaultMaxBody is the default limit of beanstalkd, in bytes.
	DefaultMaxBody = 65535
	// DefaultTTR is the time to run of a message that sets none.
	DefaultTTR = time.Minute
	// DefaultDialTimeout bounds the TCP connect.
	DefaultDialTimeout = 2 * time.Second
	// DefaultTimeout bounds one command and its answer.
	DefaultTimeout = 5 * time.Second
	// DefaultConns bounds the connections of a Producer to one server.
	DefaultConns = 8
)

var (
	// ErrGone means that this connection does not hold the job any more: the connection
	// ended, the time to run passed, or the job was deleted.
	ErrGone = errors.New("queue: job is no longer held")
	// ErrTooBig means that a body is over Config.MaxBody or the server's limit.
	ErrTooBig = errors.New("queue: body is too big")
	// ErrDraining means that the server accepts no more messages.
	ErrDraining = errors.New("queue: server is draining")
	// ErrFull means that the server has no memory or disk space left.
	ErrFull = errors.New("queue: server is out of memory or disk")
	// ErrTube means that a tube name is invalid.
	ErrTube = errors.New("queue: bad tube name")
	// ErrReply means that a reply violates the protocol of beanstalkd.
	ErrReply = errors.New("queue: not a reply of beanstalkd")
	// ErrRefused means that the server failed without a reason: INTERNAL_ERROR.
	ErrRefused = errors.New("queue: refused by the server")
	// ErrOverloaded means that a message was not put because the servers cannot take it
	// before the caller's deadline.
	ErrOverloaded = errors.New("queue: overloaded")
	// ErrMaybePut means that a message was sent and not answered, so it may have been put.
	// After any other error it was not put.
	ErrMaybePut = errors.New("queue: may have been put")
	// ErrClosed means that the Producer or Consumer is closed.
	ErrClosed = errors.New("queue: closed")
)

// Config holds the servers and limits of a Producer or Consumer.
type Config struct {
	// Addrs are the servers, in the forms that [ParseAddr] accepts. Default: DefaultAddr
	// alone.
	Addrs []string
	// DialTimeout bounds the connect. Default: DefaultDialTimeout.
	DialTimeout time.Duration
	// Timeout bounds a command and its answer. Default: DefaultTimeout.
	Timeout time.Duration
	// Conns is the largest number of connections of a Producer to each server. Default:
	// DefaultConns.
	Conns int
	// Copies is on how many of the servers a Producer puts each message. Default: 1.
	Copies int
	// MaxBody is the largest body, in bytes, to put or receive. Default: DefaultMaxBody.
	MaxBody int
	// Logger logs outages. Default: no logs.
	Logger *slog.Logger
}

func (c Config) withDefaults() (Config, error) {
	if len(c.Addrs) == 0 {
		c.Addrs = []string{DefaultAddr}
	}
	c.Addrs = slices.Clone(c.Addrs)
	for i, text := range c.Addrs {
		var err error
		if c.Addrs[i], err = ParseAddr(text); err != nil {
			return c, err
		}
	}
	if c.DialTimeout < 0 || c.Timeout < 0 || c.Conns < 0 || c.MaxBody < 0 || c.Copies < 0 {
		return c, errors.New("queue: negative timeout or limit")
	}
	c.Copies = cmp.Or(c.Copies, 1)
	if n := len(slices.Compact(slices.Sorted(slices.Values(c.Addrs)))); c.Copies > n {
		return c, fmt.Errorf("queue: %d copies of a message need as many servers, and there are %d", c.Copies, n)
	}
	c.DialTimeout = cmp.Or(c.DialTimeout, DefaultDialTimeout)
	c.Timeout = cmp.Or(c.Timeout, DefaultTimeout)
	c.Conns = cmp.Or(c.Conns, DefaultConns)
	c.MaxBody = cmp.Or(c.MaxBody, DefaultMaxBody)
	c.Logger = cmp.Or(c.Logger, slog.New(slog.DiscardHandler))
	return c, nil
}

// Message is a message to put on a tube.
type Message struct {
	Tube string
	// Body must not change until Put or PutAll returns.
	Body []byte
	// Priority 0 is the most urgent.
	Priority uint32
	// Delay and TTR (time to run) are rounded up to whole seconds. A negative Delay
	// counts as zero. A TTR of zero or less means DefaultTTR.
	Delay, TTR time.Duration
}

// Receipt is where a message was put. A zero Receipt means that the message was not put,
// or that this is unknown.
type Receipt struct {
	Addr string
	// Server is the id of the server, which changes at every start of the server.
	Server string
	// ID is the job's number on that server. It is never 0.
	ID uint64
}

// Outcome is what became of one message of a batch.
type Outcome struct {
	// Receipt is zero if Err is set.
	Receipt
	// Err is nil if the message was put. See Producer.Put for its values.
	Err error
}
