// Package queue is how Runnerbean talks to beanstalkd. It wraps go-beanstalk so
// that every operation ends in time, no reply is trusted further than it was
// checked, and a connection on which anything went wrong is never used again.
//
// Messages are delivered at least once: a put whose answer was lost may have
// been carried out, and is tried again on the next server.
package queue

import (
	"cmp"
	"errors"
	"log/slog"
	"slices"
	"time"
)

const (
	// RunTTR is for how long a node may hold a message of a run tube without
	// touching it.
	RunTTR = 120 * time.Second
	// TouchEvery is how often a node touches what it holds: a touch that comes
	// late, and one that fails, cost it nothing.
	TouchEvery = RunTTR / 3
)

// Defaults of Config and Message.
const (
	// DefaultAddr is where beanstalkd listens by default.
	DefaultAddr = "127.0.0.1:11300"
	// DefaultMaxBody is beanstalkd's own default limit, in bytes.
	DefaultMaxBody = 65535
	// DefaultTTR is how long a message may be held, where it does not say.
	DefaultTTR = time.Minute
	// DefaultDialTimeout bounds the making of a TCP connection.
	DefaultDialTimeout = 2 * time.Second
	// DefaultTimeout bounds one command and its answer.
	DefaultTimeout = 5 * time.Second
)

var (
	// ErrGone is returned for a job that this connection does not hold any more:
	// the connection ended, its time to run passed, or it was deleted.
	ErrGone = errors.New("queue: job is no longer held")
	// ErrTooBig is returned for a body over the limit, ours or the server's.
	ErrTooBig = errors.New("queue: body is too big")
	// ErrDraining is returned by a server that takes no more messages.
	ErrDraining = errors.New("queue: server is draining")
	// ErrFull is returned by a server without memory or disk for a message.
	ErrFull = errors.New("queue: server is out of memory or disk")
	// ErrTube is returned for a name that no tube can have.
	ErrTube = errors.New("queue: bad tube name")
	// ErrReply is returned where a server does not speak beanstalkd's protocol.
	ErrReply = errors.New("queue: not a reply of beanstalkd")
	// ErrRefused is returned where a server says that it cannot, and not why.
	ErrRefused = errors.New("queue: refused by the server")
	// ErrClosed is returned once a Producer or Consumer has been closed.
	ErrClosed = errors.New("queue: closed")
)

// Config says which servers to use and how long to wait for them.
type Config struct {
	// Addrs are the servers, as [ParseAddr] reads them. Default: DefaultAddr alone.
	Addrs []string
	// DialTimeout bounds the making of a connection. Default: DefaultDialTimeout.
	DialTimeout time.Duration
	// Timeout bounds a command and its answer. Default: DefaultTimeout.
	Timeout time.Duration
	// MaxBody is the largest body in bytes that is put or taken. Default: DefaultMaxBody.
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
	if c.DialTimeout < 0 || c.Timeout < 0 || c.MaxBody < 0 {
		return c, errors.New("queue: negative timeout or limit")
	}
	c.DialTimeout = cmp.Or(c.DialTimeout, DefaultDialTimeout)
	c.Timeout = cmp.Or(c.Timeout, DefaultTimeout)
	c.MaxBody = cmp.Or(c.MaxBody, DefaultMaxBody)
	c.Logger = cmp.Or(c.Logger, slog.New(slog.DiscardHandler))
	return c, nil
}

// Message is something to put on a tube.
type Message struct {
	Tube string
	// Body belongs to the Producer until Put or PutAll has returned.
	Body []byte
	// Priority 0 is the most urgent.
	Priority uint32
	// Delay and TTR (time to run) are rounded up to whole seconds. A negative
	// Delay is none; a TTR of zero or less is DefaultTTR.
	Delay, TTR time.Duration
}

// Receipt says where a message went. The zero Receipt means that the message
// was not put, or that it is not known whether it was.
type Receipt struct {
	Addr string
	// Server is the id of that run of the server; it changes when it restarts.
	Server string
	// ID is the job's number on that server, never 0.
	ID uint64
}
