package queue

import (
	"context"
	"errors"
)

// MessageStats returns the statistics of each message, as stats-job reports them. The
// entry of a message that the server does not have is nil.
func (p *Producer) MessageStats(ctx context.Context, addr string, ids []uint64) ([]map[string]string, error) {
	list := make([]map[string]string, len(ids))
	err := p.every(ctx, addr, ids, func(c *conn, i int) (err error) {
		list[i], err = c.messageStats(ctx, ids[i])
		return err
	})
	return list, err
}

// Peek returns the bodies of messages without reserving them. The entry of a message that
// the server does not have is nil.
func (p *Producer) Peek(ctx context.Context, addr string, ids []uint64) ([][]byte, error) {
	list := make([][]byte, len(ids))
	err := p.every(ctx, addr, ids, func(c *conn, i int) (err error) {
		list[i], err = c.peek(ctx, ids[i])
		return err
	})
	return list, err
}

// Remove deletes messages that are not reserved.
func (p *Producer) Remove(ctx context.Context, addr string, ids []uint64) error {
	return p.every(ctx, addr, ids, func(c *conn, i int) error { return c.remove(ctx, ids[i]) })
}

// every calls f with the index of each id, on one connection to a server. It ignores
// messages that the server does not have.
func (p *Producer) every(ctx context.Context, addr string, ids []uint64, f func(c *conn, i int) error) error {
	return p.on(addr, func(s *pool) error {
		return s.use(ctx, func(c *conn) error {
			for i := range ids {
				if err := f(c, i); err != nil && (!errors.Is(err, ErrGone) || c.dead.Load()) {
					return err
				}
			}
			return nil
		})
	})
}

func (c *conn) messageStats(ctx context.Context, id uint64) (stats map[string]string, err error) {
	err = c.do(ctx, call{name: "stats-job", want: statsShape}, func() error {
		stats, err = c.client.StatsJob(id)
		return err
	})
	if err != nil {
		return nil, err
	}
	return stats, nil
}

func (c *conn) peek(ctx context.Context, id uint64) (body []byte, err error) {
	err = c.do(ctx, call{name: "peek", want: peekShape}, func() error {
		body, err = c.client.Peek(id)
		return err
	})
	return body, err
}

func (c *conn) remove(ctx context.Context, id uint64) error {
	return c.do(ctx, call{name: "delete", want: deleteShape}, func() error { return c.client.Delete(id) })
}
