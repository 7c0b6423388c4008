package queue

import (
	"context"
	"errors"
	"fmt"

	"github.com/beanstalkd/go-beanstalk"
)

// Tubes returns the tubes of a server: those that have messages, and those that a
// connection uses or watches. It omits names that ValidTube refuses.
func (p *Producer) Tubes(ctx context.Context, addr string) (tubes []string, err error) {
	err = p.on(addr, func(s *pool) error {
		return s.use(ctx, func(c *conn) error {
			tubes, err = c.tubes(ctx)
			return err
		})
	})
	return tubes, err
}

// TubeStats returns the statistics of a tube. It returns nil and no error for a tube that
// does not exist because it is empty and unused.
func (p *Producer) TubeStats(ctx context.Context, addr, tube string) (stats map[string]string, err error) {
	if err := ValidTube(tube); err != nil {
		return nil, err
	}
	err = p.on(addr, func(s *pool) error {
		return s.use(ctx, func(c *conn) error {
			stats, err = c.tubeStats(ctx, tube)
			return err
		})
	})
	if errors.Is(err, ErrGone) {
		return nil, nil
	}
	return stats, err
}

// Unpause ends the pause of a tube. It returns no error for a tube that does not exist.
func (p *Producer) Unpause(ctx context.Context, addr, tube string) error {
	if err := ValidTube(tube); err != nil {
		return err
	}
	err := p.on(addr, func(s *pool) error {
		return s.use(ctx, func(c *conn) error { return c.unpause(ctx, tube) })
	})
	if errors.Is(err, ErrGone) {
		return nil
	}
	return err
}

// Kick makes up to n buried messages of a tube ready, or delayed ones if none is buried.
// It uses a connection of its own, because beanstalkd keeps a tube for as long as a
// connection uses it.
func (p *Producer) Kick(ctx context.Context, addr, tube string, n int) error {
	if err := ValidTube(tube); err != nil {
		return err
	}
	return p.on(addr, func(s *pool) error {
		c, err := dial(ctx, s.cfg, s.addr)
		if err != nil {
			return err
		}
		defer c.discard()
		return c.kick(ctx, tube, n)
	})
}

// TubeState is a state of messages on a tube.
type TubeState int

const (
	Ready TubeState = iota
	Delayed
)

// First returns the message of a tube in a state that would come next, without reserving
// it. It returns ErrGone if there is none, and ErrTooBig for one over Config.MaxBody.
// beanstalkd then keeps the tube until the producer uses another one or is closed.
func (p *Producer) First(ctx context.Context, addr, tube string, state TubeState) (id uint64, body []byte, err error) {
	if err := ValidTube(tube); err != nil {
		return 0, nil, err
	}
	err = p.on(addr, func(s *pool) error {
		return s.use(ctx, func(c *conn) error {
			id, body, err = c.first(ctx, tube, state)
			return err
		})
	})
	return id, body, err
}

// on calls f with the pool of one server.
func (p *Producer) on(addr string, f func(*pool) error) error {
	for _, pool := range p.pools {
		if pool.addr == addr {
			return f(pool)
		}
	}
	return fmt.Errorf("queue: %q is not one of the servers", addr)
}

func (c *conn) tubes(ctx context.Context) (tubes []string, err error) {
	var all []string
	err = c.do(ctx, call{name: "list-tubes", want: tubesShape}, func() error {
		all, err = c.client.ListTubes()
		return err
	})
	for _, name := range all {
		if ValidTube(name) == nil {
			tubes = append(tubes, name)
		}
	}
	return tubes, err
}

func (c *conn) unpause(ctx context.Context, tube string) error {
	return c.do(ctx, call{name: "pause-tube", want: pauseShape}, func() error {
		return (&beanstalk.Tube{Conn: c.client, Name: tube}).Pause(0)
	})
}

func (c *conn) kick(ctx context.Context, tube string, n int) error {
	return c.do(ctx, call{name: "kick", want: kickShape, notices: 1}, func() error {
		_, err := (&beanstalk.Tube{Conn: c.client, Name: tube}).Kick(n)
		return err
	})
}

func (c *conn) first(ctx context.Context, tube string, state TubeState) (id uint64, body []byte, err error) {
	t := &beanstalk.Tube{Conn: c.client, Name: tube}
	cl, peek := call{name: "peek-ready", want: peekTubeShape, notices: 1}, t.PeekReady
	if state == Delayed {
		cl.name, peek = "peek-delayed", t.PeekDelayed
	}
	err = c.do(ctx, cl, func() error {
		id, body, err = peek()
		return err
	})
	if err == nil && c.wire.skipped > 0 {
		return id, nil, c.failed(cl, fmt.Errorf("%w: message %d has %d bytes", ErrTooBig, id, c.wire.skipped))
	}
	return id, body, err
}
