package queue

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/beanstalkd/go-beanstalk"

	"github.com/runnerbean/runnerbean/internal/panics"
)

// conn is one connection to a server. One goroutine uses it at a time; only discard is
// safe for concurrent use. A dead connection stays dead.
type conn struct {
	addr, server string
	trip         time.Duration // of the first command
	timeout      time.Duration
	wire         *checkedConn
	client       *beanstalk.Conn
	turn         chan struct{} // held during a command
	dead         atomic.Bool
	watching     int // number of watched tubes
	held         held
	lastUsed     time.Time
}

// dial connects and waits for an answer to stats. beanstalkd accepts connections while it
// still replays its binlog, so a connection alone proves nothing.
func dial(ctx context.Context, cfg Config, addr string) (*conn, error) {
	network, address := Network(addr)
	nc, err := (&net.Dialer{Timeout: cfg.DialTimeout}).DialContext(ctx, network, address)
	switch {
	case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil: // it is not the caller's
		return nil, fmt.Errorf("queue: %s: no connection within %v: %w", addr, cfg.DialTimeout, os.ErrDeadlineExceeded)
	case err != nil:
		return nil, fmt.Errorf("queue: %s: %w", addr, err)
	}
	w := newCheckedConn(nc, cfg.MaxBody)
	c := &conn{
		addr: addr, timeout: cfg.Timeout,
		wire: w, client: beanstalk.NewConn(w), watching: 1,
		turn: make(chan struct{}, 1),
	}
	asked := time.Now()
	stats, err := c.stats(ctx)
	c.trip = time.Since(asked)
	if err == nil {
		c.server, err = instance(stats)
	}
	if err != nil {
		c.discard()
		return nil, err
	}
	return c, nil
}

// instance returns the id that a server generates at every start. It validates the id
// because callers store it in records.
func instance(stats map[string]string) (string, error) {
	const most = 64
	id := stats["id"]
	if id == "" || len(id) > most || ValidTube(id) != nil {
		return "", fmt.Errorf("%w: the server's id is %.64q", ErrReply, id)
	}
	return id, nil
}

// call is one command.
type call struct {
	name    string
	want    shape
	notices int
	wait    time.Duration // how long the server may take, besides conn.timeout
}

// do runs f, which uses the client, within the call's time limit. It turns a panic into
// an error. It discards the connection when ctx ends, after a panic, and after any error
// that is not a known reply of the server.
func (c *conn) do(ctx context.Context, cl call, f func() error) error {
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
	}
	if err := ctx.Err(); err != nil {
		return c.failed(cl, err)
	}
	if c.dead.Load() {
		return c.failed(cl, ErrGone)
	}
	err := c.wire.begin(cl.want, cl.notices, cl.wait+c.timeout)
	if err == nil {
		stop := context.AfterFunc(ctx, c.discard)
		err = panics.Call(f)
		if !stop() {
			c.discard()
		}
	}
	return c.settle(ctx, cl, err)
}

// settle maps replies of the server to errors of this package. It discards the connection
// on every other error.
func (c *conn) settle(ctx context.Context, cl call, err error) error {
	if err == nil {
		return nil
	}
	for _, r := range replies {
		if errors.Is(err, r.theirs) {
			return c.failed(cl, r.ours)
		}
	}
	c.discard()
	if ctx.Err() != nil {
		return c.failed(cl, ctx.Err())
	}
	var theirs beanstalk.ConnError // its text repeats the command's name
	if errors.As(err, &theirs) {
		err = theirs.Err
	}
	return c.failed(cl, err)
}

// replies are the errors after which the connection is still usable.
var replies = []struct{ theirs, ours error }{
	{beanstalk.ErrTimeout, errNone},
	{beanstalk.ErrDeadline, errDeadline},
	{beanstalk.ErrNotFound, ErrGone},
	{beanstalk.ErrUnknown, ErrGone},
	{beanstalk.ErrJobTooBig, ErrTooBig},
	{beanstalk.ErrDraining, ErrDraining},
	{beanstalk.ErrInternal, ErrRefused},
	{beanstalk.ErrOOM, ErrFull},
	{beanstalk.ErrBuried, ErrFull},
}

var (
	errNone     = errors.New("queue: no message")
	errDeadline = fmt.Errorf("%w: DEADLINE_SOON though no job is held", ErrReply)
)

func (c *conn) failed(cl call, err error) error {
	return fmt.Errorf("queue: %s: %s: %w", c.addr, cl.name, err)
}

// discard closes the connection and fails whatever waits on it. The server then returns
// the jobs that the connection held to their tubes.
func (c *conn) discard() {
	c.dead.Store(true)
	_ = c.wire.Close()
}

func (c *conn) stats(ctx context.Context) (stats map[string]string, err error) {
	err = c.do(ctx, call{name: "stats", want: statsShape}, func() error {
		stats, err = c.client.Stats()
		return err
	})
	return stats, err
}

func (c *conn) tubeStats(ctx context.Context, tube string) (stats map[string]string, err error) {
	err = c.do(ctx, call{name: "stats-tube", want: statsShape}, func() error {
		stats, err = (&beanstalk.Tube{Conn: c.client, Name: tube}).Stats()
		return err
	})
	return stats, err
}
