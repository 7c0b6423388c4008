package testbed

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/runnerbean/runnerbean/chaos/check"
)

// Proxy stands between a node and beanstalkd. It cuts connections at random
// bytes, and records which messages the node deletes.
type Proxy struct {
	bed      *Testbed
	to       string
	listener net.Listener
	name     string // of the node

	cuts   atomic.Int64
	NoCuts atomic.Bool // no more cuts

	mu   sync.Mutex
	rng  *rand.Rand
	open map[net.Conn]bool
	done sync.WaitGroup
}

// NewProxy starts a proxy for a node. The caller closes it.
func (bed *Testbed) NewProxy(name, to string) (*Proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{bed: bed, to: to, listener: listener, name: name, rng: bed.Random("proxy " + name), open: map[net.Conn]bool{}}
	p.done.Go(p.serve)
	return p, nil
}

func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Close ends all connections and waits for that.
func (p *Proxy) Close() {
	p.listener.Close()
	p.mu.Lock()
	for conn := range p.open {
		conn.Close()
	}
	p.mu.Unlock()
	p.done.Wait()
}

func (p *Proxy) serve() {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.done.Go(func() { p.connect(conn) })
	}
}

func (p *Proxy) track(conn net.Conn, open bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if open {
		p.open[conn] = true
	} else {
		delete(p.open, conn)
	}
}

// connect copies a connection's bytes in both directions until one side closes
// it or its allowance of bytes is spent.
func (p *Proxy) connect(client net.Conn) {
	defer client.Close()
	server, err := net.DialTimeout("tcp", p.to, answerTime)
	if err != nil {
		return
	}
	defer server.Close()
	for _, conn := range []net.Conn{client, server} {
		p.track(conn, true)
		defer p.track(conn, false)
	}
	c := &proxiedConn{proxy: p, client: client, server: server, talk: newDeletionTracker(), allowance: p.allowance()}
	var ways sync.WaitGroup
	ways.Go(func() { c.copy(client, server, c.talk.sent) })
	ways.Go(func() { c.copy(server, client, c.talk.received) })
	ways.Wait()
}

// allowance returns how many bytes a connection may carry in both directions.
// Some are cut within their first command, most within a few jobs.
func (p *Proxy) allowance() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rng.IntN(5) == 0 {
		return p.rng.Int64N(60)
	}
	return p.rng.Int64N(3000)
}

// proxiedConn is one connection through the proxy.
type proxiedConn struct {
	proxy          *Proxy
	client, server net.Conn

	mu        sync.Mutex
	talk      *deletionTracker
	allowance int64
	passed    int64
	closed    bool
}

func (c *proxiedConn) copy(from, to net.Conn, read func([]byte) []check.Event) {
	defer c.client.Close()
	defer c.server.Close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 && !c.pass(to, buffer[:n], read) {
			return
		}
		if err != nil {
			return
		}
	}
}

// pass forwards bytes up to the allowance. It reports false if it cut the
// connection. Events are recorded before the bytes are sent, so that no
// consequence of them has an earlier time.
func (c *proxiedConn) pass(to net.Conn, bytes []byte, read func([]byte) []check.Event) bool {
	c.mu.Lock()
	rest := c.allowance - c.passed
	cut := !c.proxy.NoCuts.Load() && rest < int64(len(bytes))
	if cut {
		bytes = bytes[:max(rest, 0)]
	}
	c.passed += int64(len(bytes))
	for _, e := range read(bytes) {
		e.Who = c.proxy.name
		c.proxy.bed.History.Note(e)
	}
	c.mu.Unlock()
	if len(bytes) > 0 {
		if _, err := to.Write(bytes); err != nil && !errors.Is(err, net.ErrClosed) {
			return false
		}
	}
	if cut {
		c.cut()
	}
	return !cut
}

// cut closes the connection, half of the time with a reset.
func (c *proxiedConn) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.closed = true
	c.proxy.bed.History.Note(check.Event{What: check.Cut, Who: c.proxy.name, N: float64(c.passed)})
	c.proxy.cuts.Add(1)
	if c.passed%2 == 0 {
		for _, conn := range []net.Conn{c.client, c.server} {
			if tcp, ok := conn.(*net.TCPConn); ok {
				_ = tcp.SetLinger(0) // on failure the connection is closed in order
			}
		}
	}
	c.client.Close()
	c.server.Close()
}

// AwaitCuts waits until there were so many cuts.
func AwaitCuts(ctx context.Context, target int64, proxies ...*Proxy) error {
	return Until(ctx, 20*time.Millisecond, "there were enough cuts", func() bool {
		var sum int64
		for _, p := range proxies {
			sum += p.cuts.Load()
		}
		return sum >= target
	})
}
