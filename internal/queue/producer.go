package queue

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/runnerbean/runnerbean/internal/panics"
)

// Producer puts messages on one of several servers. It tries the server that worked last
// first, then the others in order. It is safe for concurrent use.
type Producer struct {
	cfg   Config
	pools []*pool
	good  atomic.Int64 // index of the server that worked last
	close sync.Once
}

// NewProducer returns a Producer that connects at first use. The caller closes it.
func NewProducer(cfg Config) (*Producer, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	p := &Producer{cfg: cfg}
	for _, addr := range cfg.Addrs {
		p.pools = append(p.pools, newPool(cfg, addr))
	}
	return p, nil
}

// Put puts a message on the first server that accepts it, and tries each server once. It
// waits at most Config.DialTimeout plus twice Config.Timeout for each. It returns
// ErrTube, ErrTooBig, ErrClosed, the error of ctx, or the joined errors of all servers.
// After an error the message may have been put.
func (p *Producer) Put(ctx context.Context, m Message) (Receipt, error) {
	m, err := p.checked(m)
	if err != nil {
		return Receipt{}, err
	}
	var r Receipt
	err = p.each(ctx, func(s *pool) error {
		return s.use(ctx, func(c *conn) error {
			r, err = c.put(ctx, m)
			return err
		})
	})
	return r, err
}

// checked validates a message and fills in defaults.
func (p *Producer) checked(m Message) (Message, error) {
	if err := ValidTube(m.Tube); err != nil {
		return m, err
	}
	if len(m.Body) > p.cfg.MaxBody {
		return m, fmt.Errorf("%w: %d bytes, at most %d are allowed", ErrTooBig, len(m.Body), p.cfg.MaxBody)
	}
	if m.Body == nil {
		m.Body = []byte{} // go-beanstalk sends no body at all for nil
	}
	if m.TTR <= 0 {
		m.TTR = DefaultTTR
	}
	m.Delay, m.TTR = wholeSeconds(m.Delay), wholeSeconds(m.TTR)
	return m, nil
}

// each calls f with one server after another until a call succeeds.
func (p *Producer) each(ctx context.Context, f func(*pool) error) error {
	var all []error
	first := int(p.good.Load())
	for i := range p.pools {
		at := (first + i) % len(p.pools)
		err := f(p.pools[at])
		if err == nil {
			p.good.Store(int64(at))
			return nil
		}
		all = append(all, err)
		if ctx.Err() != nil || errors.Is(err, ErrTooBig) || errors.Is(err, ErrClosed) {
			break
		}
	}
	return errors.Join(all...)
}

// Server describes one server.
type Server struct {
	Addr string
	// ID changes at every start of the server.
	ID      string
	Version string
	// Err is why the other fields are empty.
	Err error
	// Stats are the server's statistics under the names of beanstalkd.
	Stats map[string]string
}

// Servers asks all servers at the same time for their statistics. It returns them in the
// order of Config.Addrs. The error is nil if at least one answered.
func (p *Producer) Servers(ctx context.Context) ([]Server, error) {
	servers := make([]Server, len(p.pools))
	var wg sync.WaitGroup
	for i, pool := range p.pools {
		wg.Go(func() {
			if err := panics.Call(func() error { servers[i] = pool.server(ctx); return nil }); err != nil {
				servers[i] = Server{Addr: pool.addr, Err: err}
			}
		})
	}
	wg.Wait()
	all := make([]error, 0, len(servers))
	for _, s := range servers {
		if s.Err == nil {
			return servers, nil
		}
		all = append(all, s.Err)
	}
	return servers, errors.Join(all...)
}

func (p *pool) server(ctx context.Context) Server {
	s := Server{Addr: p.addr}
	s.Err = p.use(ctx, func(c *conn) (err error) {
		s.Stats, err = c.stats(ctx)
		return err
	})
	if s.Err == nil {
		s.ID, s.Version = s.Stats["id"], s.Stats["version"]
	}
	return s
}

// Ping returns nil if at least one server answers.
func (p *Producer) Ping(ctx context.Context) error {
	return p.each(ctx, func(s *pool) error {
		return s.use(ctx, func(c *conn) error {
			_, err := c.stats(ctx)
			return err
		})
	})
}

// Close ends all operations and closes all connections. It returns when every call has
// returned its connection.
func (p *Producer) Close() error {
	p.close.Do(func() {
		for _, pool := range p.pools {
			pool.close()
		}
	})
	return nil
}
