package queue

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/runnerbean/runnerbean/internal/panics"
)

// Producer puts messages on the first of several servers that takes them,
// beginning with the one that took the last. It is safe for concurrent use.
type Producer struct {
	cfg   Config
	pools []*pool
	good  atomic.Int64 // index of the server that worked last
	close sync.Once
}

// NewProducer makes a Producer; it connects when it is first used. Close it.
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

// Put puts a message on the first server that takes it, trying each once. It
// waits at most Config.DialTimeout and twice Config.Timeout for each. Errors:
// ErrTube, ErrTooBig, ErrClosed, that of ctx, or those of all servers joined.
// After an error it is not known whether the message was put.
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

// checked returns the message in a form that the client cannot trip over.
func (p *Producer) checked(m Message) (Message, error) {
	if err := ValidTube(m.Tube); err != nil {
		return m, err
	}
	if len(m.Body) > p.cfg.MaxBody {
		return m, fmt.Errorf("%w: %d bytes, at most %d are allowed", ErrTooBig, len(m.Body), p.cfg.MaxBody)
	}
	if m.Body == nil {
		m.Body = []byte{} // go-beanstalk takes nil for a command without a body
	}
	if m.TTR <= 0 {
		m.TTR = DefaultTTR
	}
	m.Delay, m.TTR = wholeSeconds(m.Delay), wholeSeconds(m.TTR)
	return m, nil
}

// each calls f with one server after the other until one succeeds.
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

// Server is what one server says of itself.
type Server struct {
	Addr string
	// ID changes whenever the server starts.
	ID      string
	Version string
	// Err says why the rest is missing.
	Err error
	// Stats are all of the server's statistics, as beanstalkd names them.
	Stats map[string]string
}

// Servers asks all servers at once for their statistics, and returns them in
// the order of Config.Addrs. The error is nil if at least one of them answered.
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

// Close breaks off what is under way and closes all connections. It returns
// when all callers have their answer.
func (p *Producer) Close() error {
	p.close.Do(func() {
		for _, pool := range p.pools {
			pool.close()
		}
	})
	return nil
}
