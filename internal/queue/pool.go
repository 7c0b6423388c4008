package queue

import (
	"context"
	"errors"
	"io"
	"sync"
	"syscall"
	"time"

	"github.com/runnerbean/runnerbean/internal/panics"
)

// maxIdle is how long an idle connection stays usable. Firewalls drop connections that
// are idle for longer.
const maxIdle = time.Minute

// pool keeps connections to one server. Each is lent to one user at a time.
type pool struct {
	cfg   Config
	addr  string
	room  chan struct{}   // one value for each lent connection
	ended context.Context // done after close
	end   context.CancelFunc

	mu   sync.Mutex
	idle []*conn
	lent map[*conn]bool
}

func newPool(cfg Config, addr string) *pool {
	p := &pool{cfg: cfg, addr: addr, room: make(chan struct{}, cfg.Conns), lent: make(map[*conn]bool)}
	p.ended, p.end = context.WithCancel(context.Background())
	return p
}

// use lends f a connection. If the server has closed an idle connection, use calls f
// again with a new one.
func (p *pool) use(ctx context.Context, f func(*conn) error) error {
	select {
	case p.room <- struct{}{}:
		defer func() { <-p.room }()
	case <-ctx.Done():
		return ctx.Err()
	case <-p.ended.Done():
		return ErrClosed
	}
	err := p.tryIdle(f)
	if !errors.Is(err, errOutlived) {
		return err
	}
	c, err := p.dial(ctx)
	if err != nil {
		return err
	}
	return p.lend(c, f)
}

// errOutlived means that there is no idle connection, or that the server closed it.
var errOutlived = errors.New("queue: no good idle connection")

func (p *pool) tryIdle(f func(*conn) error) error {
	c := p.takeIdle()
	if c == nil {
		return errOutlived
	}
	err := p.lend(c, f)
	if err != nil && peerLeft(err) {
		return errOutlived
	}
	return err
}

// peerLeft reports whether the server closed the connection. Timeouts and malformed
// replies do not count.
func peerLeft(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// lend runs f and keeps the connection if it still works. It turns a panic of f into an
// error.
func (p *pool) lend(c *conn, f func(*conn) error) error {
	p.mu.Lock()
	p.lent[c] = true
	p.mu.Unlock()
	if p.ended.Err() != nil { // close may have run before c was in lent
		c.discard()
	}
	err := panics.Call(func() error { return f(c) })
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.lent, c)
	switch {
	case p.ended.Err() != nil:
		c.discard()
		if err != nil {
			err = errors.Join(ErrClosed, err)
		}
	case !c.dead.Load():
		c.lastUsed = time.Now()
		p.idle = append(p.idle, c)
	}
	return err
}

// takeIdle returns the most recently used idle connection, or nil. If that one is older
// than maxIdle, takeIdle closes all of them.
func (p *pool) takeIdle() *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.idle)
	if n == 0 {
		return nil
	}
	c := p.idle[n-1]
	p.idle = p.idle[:n-1]
	if time.Since(c.lastUsed) < maxIdle {
		return c
	}
	c.discard()
	p.dropIdle()
	return nil
}

// dropIdle closes the idle connections. The caller holds mu.
func (p *pool) dropIdle() {
	for _, c := range p.idle {
		c.discard()
	}
	p.idle = nil
}

func (p *pool) dial(ctx context.Context) (*conn, error) {
	p.mu.Lock()
	p.dropIdle() // they were idle for longer than the one that failed
	p.mu.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(p.ended, cancel)()
	c, err := dial(ctx, p.cfg, p.addr)
	if err != nil && p.ended.Err() != nil {
		return nil, ErrClosed
	}
	return c, err
}

// close ends all operations and connections. It returns when every user has returned its
// connection.
func (p *pool) close() {
	p.end()
	p.mu.Lock()
	p.dropIdle()
	for c := range p.lent {
		c.discard()
	}
	p.mu.Unlock()
	for range p.cfg.Conns {
		p.room <- struct{}{}
	}
	for range p.cfg.Conns {
		<-p.room
	}
}
