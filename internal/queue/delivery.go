package queue

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// Delivery is a message that the connection of a Consumer holds until it is deleted,
// released or buried, or until the connection ends. After that every method returns
// ErrGone, and the server has returned the message to its tube. A method whose ctx ends
// closes the connection.
type Delivery struct {
	ID uint64
	// Body is empty if Size is over Config.MaxBody.
	Body []byte
	// Size is the length of the body on the server, in bytes.
	Size int
	// Addr and Server name the server, as in Receipt.
	Addr, Server string

	conn *conn
}

// Delete removes the message from the server.
func (d *Delivery) Delete(ctx context.Context) error {
	return d.end(ctx, call{name: "delete", want: deleteShape}, func() error {
		return d.conn.client.Delete(d.ID)
	})
}

// Release returns the message to its tube. It is ready again after delay, which is
// rounded up to whole seconds.
func (d *Delivery) Release(ctx context.Context, priority uint32, delay time.Duration) error {
	return d.end(ctx, call{name: "release", want: releaseShape}, func() error {
		return d.conn.client.Release(d.ID, priority, wholeSeconds(delay))
	})
}

// Return does the same as Release and keeps the priority of the message.
func (d *Delivery) Return(ctx context.Context, delay time.Duration) error {
	stats, err := d.Stats(ctx)
	if err != nil {
		return err
	}
	priority, err := strconv.ParseUint(stats["pri"], 10, 32)
	if err != nil {
		return fmt.Errorf("%w: priority %.20q", ErrReply, stats["pri"])
	}
	return d.Release(ctx, uint32(priority), delay)
}

// Bury buries the message: no consumer gets it until it is kicked.
func (d *Delivery) Bury(ctx context.Context, priority uint32) error {
	return d.end(ctx, call{name: "bury", want: buryShape}, func() error {
		return d.conn.client.Bury(d.ID, priority)
	})
}

// Touch restarts the message's time to run.
func (d *Delivery) Touch(ctx context.Context) error {
	return d.do(ctx, call{name: "touch", want: touchShape}, func() error {
		return d.conn.client.Touch(d.ID)
	})
}

// Stats returns the server's statistics of the message, as stats-job reports them.
func (d *Delivery) Stats(ctx context.Context) (stats map[string]string, err error) {
	err = d.do(ctx, call{name: "stats-job", want: statsShape}, func() error {
		stats, err = d.conn.client.StatsJob(d.ID)
		return err
	})
	return stats, err
}

// end runs a command after which the connection no longer holds the message.
func (d *Delivery) end(ctx context.Context, cl call, f func() error) error {
	err := d.do(ctx, cl, f)
	if err == nil {
		d.conn.held.remove(d.ID)
	}
	return err
}

func (d *Delivery) do(ctx context.Context, cl call, f func() error) error {
	if d.conn.dead.Load() || !d.conn.held.has(d.ID) {
		return d.conn.failed(cl, ErrGone)
	}
	err := d.conn.do(ctx, cl, f)
	switch {
	case errors.Is(err, ErrGone):
		d.conn.held.remove(d.ID)
	case err != nil && d.conn.dead.Load():
		return fmt.Errorf("%w: %w", ErrGone, err)
	}
	return err
}
