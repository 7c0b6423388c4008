package main

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

// proxy stands between nodes and beanstalkd, cuts connections at random bytes,
// and reads along which messages the nodes delete.
type proxy struct {
	rig      *rig
	to       string
	listener net.Listener
	name     string // of the node behind it

	cuts atomic.Int64
	calm atomic.Bool // no more cuts

	mu     sync.Mutex
	chance *rand.Rand
	open   map[net.Conn]bool
	done   sync.WaitGroup
}

// proxy starts one for a node; close ends it.
func (r *rig) proxy(name, to string) (*proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &proxy{rig: r, to: to, listener: listener, name: name, chance: r.random("proxy " + name), open: map[net.Conn]bool{}}
	p.done.Go(p.serve)
	return p, nil
}

func (p *proxy) addr() string { return p.listener.Addr().String() }

func (p *proxy) close() {
	p.listener.Close()
	p.mu.Lock()
	for conn := range p.open {
		conn.Close()
	}
	p.mu.Unlock()
	p.done.Wait()
}

func (p *proxy) serve() {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.done.Go(func() { p.carry(conn) })
	}
}

func (p *proxy) track(conn net.Conn, open bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if open {
		p.open[conn] = true
	} else {
		delete(p.open, conn)
	}
}

// carry carries one connection's bytes both ways until either side ends it or
// its allowance of bytes is spent.
func (p *proxy) carry(client net.Conn) {
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
	c := &carriage{proxy: p, client: client, server: server, talk: newTalk(), allowance: p.allowance()}
	var ways sync.WaitGroup
	ways.Go(func() { c.way(client, server, c.talk.asked) })
	ways.Go(func() { c.way(server, client, c.talk.answered) })
	ways.Wait()
}

// allowance is how many bytes a connection may carry, both ways together. Some
// are cut within their first command, most within some jobs.
func (p *proxy) allowance() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.chance.IntN(5) == 0 {
		return p.chance.Int64N(60)
	}
	return p.chance.Int64N(3000)
}

// carriage is one connection through the proxy.
type carriage struct {
	*proxy
	client, server net.Conn

	mu        sync.Mutex
	talk      *talk
	allowance int64
	carried   int64
	over      bool
}

func (c *carriage) way(from, to net.Conn, read func([]byte) []check.Event) {
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

// pass hands bytes on, up to the allowance; it reports false where the
// connection was cut. What goes through is read along before it is sent, so
// that nothing that follows from it can have an earlier time.
func (c *carriage) pass(to net.Conn, bytes []byte, read func([]byte) []check.Event) bool {
	c.mu.Lock()
	rest := c.allowance - c.carried
	cut := !c.calm.Load() && rest < int64(len(bytes))
	if cut {
		bytes = bytes[:max(rest, 0)]
	}
	c.carried += int64(len(bytes))
	for _, e := range read(bytes) {
		e.Who = c.name
		c.rig.note(e)
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

// cut ends the connection: half of the time in order, half with a reset.
func (c *carriage) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return
	}
	c.over = true
	c.rig.note(check.Event{What: check.Cut, Who: c.name, N: float64(c.carried)})
	c.cuts.Add(1)
	if c.carried%2 == 0 {
		for _, conn := range []net.Conn{c.client, c.server} {
			if tcp, ok := conn.(*net.TCPConn); ok {
				_ = tcp.SetLinger(0) // a failure makes it an orderly end
			}
		}
	}
	c.client.Close()
	c.server.Close()
}

// await waits until there were so many cuts.
func await(ctx context.Context, target int64, proxies ...*proxy) error {
	return until(ctx, 20*time.Millisecond, "there were enough cuts", func() bool {
		var sum int64
		for _, p := range proxies {
			sum += p.cuts.Load()
		}
		return sum >= target
	})
}
