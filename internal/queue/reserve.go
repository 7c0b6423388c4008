package queue

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/beanstalkd/go-beanstalk"
)

// reserve waits for a message; wait is in whole seconds. It returns errNone if none
// arrives.
func (c *conn) reserve(ctx context.Context, tubes map[string]bool, wait time.Duration) (*Delivery, error) {
	var d *Delivery
	cl := call{name: "reserve", want: reserveShape, notices: c.watching + len(tubes), wait: wait}
	err := c.do(ctx, cl, func() error {
		set := beanstalk.TubeSet{Conn: c.client, Name: tubes}
		id, body, err := set.Reserve(wait)
		c.watching = len(tubes)
		if err == nil {
			d = &Delivery{ID: id, Body: body, Size: max(len(body), c.wire.skipped), Addr: c.addr, Server: c.server, conn: c}
			c.held.add(id)
		}
		return err
	})
	if err == nil && c.dead.Load() { // ctx ended as the message arrived
		return nil, c.failed(cl, ErrGone)
	}
	return d, err
}

// reserveJob reserves the message with a job number.
func (c *conn) reserveJob(ctx context.Context, id uint64) (*Delivery, error) {
	var d *Delivery
	cl := call{name: "reserve-job", want: reserveJobShape}
	err := c.do(ctx, cl, func() error {
		body, err := c.client.ReserveJob(id)
		if err == nil {
			d = &Delivery{ID: id, Body: body, Size: max(len(body), c.wire.skipped), Addr: c.addr, Server: c.server, conn: c}
			c.held.add(id)
		}
		return err
	})
	if err == nil && c.dead.Load() { // ctx ended as the message arrived
		return nil, c.failed(cl, ErrGone)
	}
	return d, err
}

// Other reserves another message of the same server on the same connection. The message
// may be ready, delayed or buried. It returns ErrGone if another connection holds the
// message, if it does not exist, and if the server is older than version 1.12.
func (d *Delivery) Other(ctx context.Context, id uint64) (*Delivery, error) {
	c := d.conn
	if c.dead.Load() {
		return nil, c.failed(call{name: "reserve-job"}, ErrGone)
	}
	return c.reserveJob(ctx, id)
}

// OtherOf reserves the first ready message of some tubes of the same server on the same
// connection. It returns nil if none is ready. Its cost grows with the difference from the
// tubes of the Reserve before.
func (d *Delivery) OtherOf(ctx context.Context, tubes map[string]bool) (*Delivery, error) {
	if err := validTubes(slices.Collect(maps.Keys(tubes))); err != nil {
		return nil, err
	}
	other, err := d.conn.reserve(ctx, tubes, 0)
	if errors.Is(err, errNone) || errors.Is(err, errDeadline) {
		return nil, nil
	}
	return other, err
}
