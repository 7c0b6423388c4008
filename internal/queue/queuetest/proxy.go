package queuetest

import (
	"bufio"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// heldAnswers bounds the answers of one connection that the proxy holds back.
const heldAnswers = 1 << 14

// Proxy stands between clients and one server, and makes the faults of networks.
// Its methods are safe for concurrent use. A change of its mode applies to the
// answers that it has not passed on yet.
type Proxy struct {
	// Addr is host:port, the same for the whole life of the proxy.
	Addr string

	target string
	tb     testing.TB
	turn   chan struct{} // held while an answer is delayed in mode DelayAll
	all    sync.WaitGroup

	mu       sync.Mutex
	listener net.Listener // nil while connections are refused
	links    map[*link]bool
	mode     proxyMode
	open     chan struct{} // closed unless the proxy hangs
	ended    bool
	counts   ProxyCounts
}

// proxyMode is how answers are passed on.
type proxyMode struct {
	each, all, latency time.Duration
}

// ProxyCounts is what a proxy has done since its start.
type ProxyCounts struct {
	// Conns are the connections that clients have made.
	Conns int
	// Puts are the answers INSERTED that were passed on; Answers counts all.
	Puts, Answers int
	// Busy is the time that connections have spent on delaying answers one after the
	// other, and Idle the time that open connections had no command to answer, both
	// summed over the connections.
	Busy, Idle time.Duration
}

// StartProxy starts a proxy before the server at target, a host:port. It passes
// everything on until a method changes that. The end of the test ends it.
func StartProxy(tb testing.TB, target string) *Proxy {
	tb.Helper()
	p := &Proxy{target: target, tb: tb, turn: make(chan struct{}, 1), links: map[*link]bool{}, open: make(chan struct{})}
	close(p.open)
	p.Addr = freeAddr(tb)
	p.listen()
	tb.Cleanup(p.close)
	return p
}

// Delay delays each answer of a connection by d after the one before it: a connection
// passes on 1/d answers a second.
func (p *Proxy) Delay(d time.Duration) { p.set(proxyMode{each: d}) }

// DelayAll delays each answer by d after the one before it on any connection.
func (p *Proxy) DelayAll(d time.Duration) { p.set(proxyMode{all: d}) }

// Latency makes each answer arrive d later, however many there are.
func (p *Proxy) Latency(d time.Duration) { p.set(proxyMode{latency: d}) }

// Hang passes nothing on until Resume, but accepts connections.
func (p *Proxy) Hang() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.open:
		p.open = make(chan struct{})
	default:
	}
}

// Cut resets all connections. What they held is lost.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.cut()
	}
}

// Refuse resets all connections and refuses new ones until Resume.
func (p *Proxy) Refuse() {
	p.mu.Lock()
	if p.listener != nil {
		_ = p.listener.Close()
		p.listener = nil
	}
	p.mu.Unlock()
	p.Cut()
	// A process that another test is starting has the listener until its exec.
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		conn, err := net.Dial("tcp", p.Addr)
		if err != nil {
			return
		}
		_ = conn.Close()
	}
}

// Resume ends every fault and delay.
func (p *Proxy) Resume() {
	p.set(proxyMode{})
	p.mu.Lock()
	select {
	case <-p.open:
	default:
		close(p.open)
	}
	refuses := p.listener == nil && !p.ended
	p.mu.Unlock()
	if refuses {
		p.listen()
	}
}

// Counts returns what the proxy has done so far.
func (p *Proxy) Counts() ProxyCounts {
	p.mu.Lock()
	defer p.mu.Unlock()
	counts := p.counts
	for l := range p.links {
		if !l.idle.IsZero() {
			counts.Idle += time.Since(l.idle)
		}
	}
	return counts
}

func (p *Proxy) set(mode proxyMode) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mode = mode
}

func (p *Proxy) listen() {
	l, err := net.Listen("tcp", p.Addr)
	for end := time.Now().Add(patience); errors.Is(err, syscall.EADDRINUSE) && time.Now().Before(end); l, err = net.Listen("tcp", p.Addr) {
		time.Sleep(time.Millisecond) // see Refuse
	}
	if err != nil {
		p.tb.Errorf("queuetest: proxy: %v", err)
		return
	}
	p.mu.Lock()
	p.listener = l
	p.mu.Unlock()
	p.all.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			p.all.Go(func() { p.serve(client) })
		}
	})
}

func (p *Proxy) close() {
	p.mu.Lock()
	p.ended = true
	p.mu.Unlock()
	p.Refuse()
	p.all.Wait()
}

// serve passes on one connection until either side ends it.
func (p *Proxy) serve(client net.Conn) {
	l := &link{proxy: p, client: client, ended: make(chan struct{}), answers: make(chan answer, heldAnswers)}
	defer l.cut()
	p.mu.Lock()
	if p.ended || p.listener == nil {
		p.mu.Unlock()
		return
	}
	p.counts.Conns++
	p.links[l] = true
	l.idle = time.Now()
	p.mu.Unlock()
	defer p.forget(l)
	server, err := net.DialTimeout("tcp", p.target, patience)
	if err != nil {
		return
	}
	defer server.Close()
	var parts sync.WaitGroup
	parts.Go(func() { defer l.cut(); l.commands(server) })
	parts.Go(func() { defer l.cut(); l.deliver() })
	parts.Go(func() { <-l.ended; server.Close() })
	l.collect(server)
	parts.Wait()
}

func (p *Proxy) forget(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.links, l)
	if !l.idle.IsZero() {
		p.counts.Idle += time.Since(l.idle)
	}
}

// link is one connection of a client.
type link struct {
	proxy   *Proxy
	client  net.Conn
	answers chan answer
	once    sync.Once
	ended   chan struct{}
	pending int       // commands whose answers are not passed on yet
	idle    time.Time // since when pending is 0
}

type answer struct {
	text []byte
	at   time.Time
}

func (l *link) cut() {
	l.once.Do(func() {
		if tcp, ok := l.client.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = l.client.Close()
		close(l.ended)
	})
}

// passable waits while the proxy hangs. It returns false at the end of the connection.
func (l *link) passable() bool {
	l.proxy.mu.Lock()
	open := l.proxy.open
	l.proxy.mu.Unlock()
	select {
	case <-open:
		return true
	case <-l.ended:
		return false
	}
}

// commands passes the commands on.
func (l *link) commands(server net.Conn) {
	in, out := bufio.NewReader(l.client), bufio.NewWriter(server)
	for {
		command, err := readCommand(in)
		if err != nil || !l.passable() {
			return
		}
		l.count(1)
		if _, err = out.Write(command); err == nil && in.Buffered() == 0 {
			err = out.Flush()
		}
		if err != nil {
			return
		}
	}
}

// readCommand reads a line, and the body that a put announces.
func readCommand(in *bufio.Reader) ([]byte, error) {
	line, err := in.ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "put ") {
		return []byte(line), err
	}
	return readBody(in, line)
}

// collect reads the answers of the server.
func (l *link) collect(server net.Conn) {
	defer close(l.answers)
	in := bufio.NewReader(server)
	for {
		text, err := readAnswer(in)
		if err != nil {
			return
		}
		select {
		case l.answers <- answer{text, time.Now()}:
		case <-l.ended:
			return
		}
	}
}

// count changes how many commands are pending, and adds up the time without any.
func (l *link) count(change int) {
	p := l.proxy
	p.mu.Lock()
	defer p.mu.Unlock()
	if l.pending == 0 {
		p.counts.Idle += time.Since(l.idle)
		l.idle = time.Time{}
	}
	if l.pending += change; l.pending == 0 {
		l.idle = time.Now()
	}
}

// readAnswer reads a line, and the body that it announces.
func readAnswer(in *bufio.Reader) ([]byte, error) {
	line, err := in.ReadString('\n')
	if err != nil {
		return nil, err
	}
	fields := strings.Fields(line)
	if len(fields) < 2 || fields[0] != "OK" && fields[0] != "RESERVED" && fields[0] != "FOUND" {
		return []byte(line), nil
	}
	return readBody(in, line)
}

// readBody reads the body whose size a line ends with, and returns both.
func readBody(in *bufio.Reader, line string) ([]byte, error) {
	fields := strings.Fields(line)
	size, err := strconv.ParseUint(fields[len(fields)-1], 10, 30)
	if err != nil {
		return nil, err
	}
	whole := make([]byte, len(line)+int(size)+2)
	_, err = io.ReadFull(in, whole[copy(whole, line):])
	return whole, err
}

// deliver passes the answers on.
func (l *link) deliver() {
	for a := range l.answers {
		if !l.hold(a) || !l.passable() {
			return
		}
		if _, err := l.client.Write(a.text); err != nil {
			return
		}
		l.count(-1)
		l.proxy.passed(a)
	}
}

func (p *Proxy) passed(a answer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counts.Answers++
	if strings.HasPrefix(string(a.text), "INSERTED") {
		p.counts.Puts++
	}
}

// hold waits until an answer is due. It returns false at the end of the connection.
func (l *link) hold(a answer) bool {
	p := l.proxy
	p.mu.Lock()
	mode := p.mode
	p.mu.Unlock()
	if mode.latency > 0 && !l.wait(time.Until(a.at.Add(mode.latency))) {
		return false
	}
	if mode.all > 0 {
		select {
		case p.turn <- struct{}{}:
			defer func() { <-p.turn }()
		case <-l.ended:
			return false
		}
	}
	start := time.Now()
	ok := l.wait(max(mode.each, mode.all))
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counts.Busy += time.Since(start)
	return ok
}

func (l *link) wait(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-l.ended:
		return false
	}
}
