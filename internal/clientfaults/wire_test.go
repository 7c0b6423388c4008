package clientfaults

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"
)

// wire stands between the clients and one server. It reads every put, so that it knows
// which jobs were in flight when a fault began, and what the server said about each.
type wire struct {
	addr, target string
	tb           testing.TB
	all          sync.WaitGroup

	mu       sync.Mutex
	listener net.Listener // nil while connections are refused
	links    map[*link]bool
	ended    bool
	open     chan struct{} // closed unless the wire hangs
	delay    time.Duration // of each answer after the one before it
	full     bool          // puts are answered with OUT_OF_MEMORY
	trouble  int           // above 0: what is in flight is in flight at a fault
	life     int           // of the server
	puts     map[string][]*put
	seen     wireCounts
}

// wireCounts is what a wire has seen.
type wireCounts struct {
	jobs     int // in put commands
	inFlight int // of those, in flight at a fault
	ends     int // connections that faults have ended
}

// put is a put command of one or several jobs.
type put struct {
	ids []string
	// life is that of the server it was sent to.
	life int
	// disturbed is set if it was in flight at a fault.
	disturbed bool
	// read is when the wire read it, answered when the client was given the whole answer,
	// left when it left the connection before that. inserted is set by the answer INSERTED.
	read, answered, left time.Time
	inserted             bool
}

// slow reports whether the answer took so long that the client may have given it up: a
// machine that is busy is a fault, too.
func (p *put) slow() bool {
	end := p.answered
	if end.IsZero() {
		end = p.left
	}
	return end.Sub(p.read) > clientTimeout/2
}

var idPattern = regexp.MustCompile(`"id":"([^"]+)"`)

func newPut(body []byte, life int) *put {
	p := &put{life: life, read: time.Now()}
	for _, m := range idPattern.FindAllSubmatch(body, -1) {
		p.ids = append(p.ids, string(m[1]))
	}
	return p
}

func newWire(tb testing.TB, target string) *wire {
	tb.Helper()
	w := &wire{target: target, tb: tb, links: map[*link]bool{}, puts: map[string][]*put{}, open: make(chan struct{})}
	close(w.open)
	const lowest, count, tries = 20000, 12000, 100 // the kernel gives higher ports to clients
	for range tries {
		w.addr = fmt.Sprintf("127.0.0.1:%d", lowest+rand.IntN(count))
		if err := w.listen(); err == nil {
			tb.Cleanup(w.close)
			return w
		}
	}
	tb.Fatal("wire: no free port")
	return nil
}

func (w *wire) listen() error {
	l, err := net.Listen("tcp", w.addr)
	if err != nil {
		return err
	}
	w.mu.Lock()
	w.listener = l
	w.mu.Unlock()
	w.all.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			w.all.Go(func() { w.serve(client.(*net.TCPConn)) })
		}
	})
	return nil
}

func (w *wire) close() {
	w.mu.Lock()
	w.ended = true
	w.mu.Unlock()
	w.refuse()
	w.resume()
	w.mu.Lock()
	for l := range w.links {
		_ = l.client.Close()
	}
	w.mu.Unlock()
	w.all.Wait()
}

// begin begins a fault: everything in flight now, and until the end, is in flight at a
// fault.
func (w *wire) begin(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.trouble++
	for l := range w.links {
		l.disturb()
	}
	if f != nil {
		f()
	}
}

func (w *wire) end(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if f != nil {
		f()
	}
	w.trouble--
}

// hang passes nothing on until resume. The caller holds mu.
func (w *wire) hang() {
	select {
	case <-w.open:
		w.open = make(chan struct{})
	default:
	}
}

// resume ends hanging.
func (w *wire) resume() {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-w.open:
	default:
		close(w.open)
	}
}

// refuse ends all connections and refuses new ones until listen.
func (w *wire) refuse() {
	w.mu.Lock()
	if w.listener != nil {
		_ = w.listener.Close()
		w.listener = nil
	}
	w.mu.Unlock()
	w.cut(func(*link) ending { return reset })
}

// cut ends connections in the way that choose says.
func (w *wire) cut(choose func(*link) ending) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for l := range w.links {
		l.cut(choose(l))
	}
}

// ending is how a connection ends.
type ending int

const (
	goesOn    ending = iota
	inOrder          // the client sees the end of the stream
	reset            // the client sees a reset
	inCommand        // the server gets a part of the next put, the client a reset
	inAnswer         // the client gets a part of the next answer
)

// link is one connection of a client. The wire's mu guards its fields.
type link struct {
	wire     *wire
	client   *net.TCPConn
	life     int
	forward  chan *command // read from the client
	pending  chan *command // sent to the server
	inFlight map[*put]bool
	next     ending // how the connection ends at the next command or answer
	random   *rand.Rand
	cutOnce  sync.Once
	gone     chan struct{} // closed by the end: nothing is passed on any more
}

type command struct {
	text  []byte
	put   *put   // nil for other commands
	reply string // given in place of the server's
}

// maxPipeline bounds the commands on one connection without an answer.
const maxPipeline = 1 << 16

func (w *wire) serve(client *net.TCPConn) {
	l := &link{
		wire: w, client: client, inFlight: map[*put]bool{}, gone: make(chan struct{}),
		forward: make(chan *command, maxPipeline), pending: make(chan *command, maxPipeline), random: rand.New(rand.NewPCG(1, 1)),
	}
	w.mu.Lock()
	if w.ended || w.listener == nil {
		w.seen.ends++
		w.mu.Unlock()
		client.Close()
		return
	}
	l.life = w.life
	w.links[l] = true
	w.mu.Unlock()
	var parts sync.WaitGroup
	if server, err := net.DialTimeout("tcp", w.target, time.Second); err != nil {
		close(l.pending)
		l.fail(inOrder)
		parts.Go(func() {
			for range l.forward {
			}
		})
	} else {
		parts.Go(func() { <-l.gone; server.Close() })
		parts.Go(func() { l.send(server) })
		parts.Go(func() { l.deliver(server) })
	}
	l.read()
	l.drop()
	parts.Wait()
	w.mu.Lock()
	delete(w.links, l)
	w.mu.Unlock()
}

// cut ends the connection, now or at the next command or answer. The caller holds mu.
func (l *link) cut(how ending) {
	switch how {
	case goesOn:
		return
	case inCommand, inAnswer:
		l.next = how
		return
	}
	l.cutOnce.Do(func() {
		l.disturb()
		close(l.gone)
		l.wire.seen.ends++
		if how == reset {
			// What the client has sent already is still read, so that it is counted.
			_ = l.client.SetReadDeadline(time.Now().Add(2 * time.Millisecond))
			_ = l.client.SetLinger(0)
		} else {
			_ = l.client.CloseWrite()
		}
	})
}

// drop ends the connection after the client has left it.
func (l *link) drop() {
	l.wire.mu.Lock()
	defer l.wire.mu.Unlock()
	l.cutOnce.Do(func() {
		close(l.gone)
		for p := range l.inFlight {
			p.left = time.Now()
		}
	})
	_ = l.client.Close()
}

// disturb marks what is in flight. The caller holds mu.
func (l *link) disturb() {
	for p := range l.inFlight {
		l.wire.disturbed(p)
	}
}

func (w *wire) disturbed(p *put) {
	if !p.disturbed {
		p.disturbed = true
		w.seen.inFlight += len(p.ids)
	}
}

// read reads commands until the client ends the connection.
func (l *link) read() {
	defer close(l.forward)
	in := bufio.NewReader(l.client)
	for {
		text, err := readCommand(in)
		if err != nil {
			l.note(text) // a part, which no server takes
			return
		}
		l.forward <- &command{text: text, put: l.note(text)}
	}
}

// readCommand reads a line, and the body that it announces. With an error it returns
// the part that was read.
func readCommand(in *bufio.Reader) ([]byte, error) {
	line, err := in.ReadBytes('\n')
	if err != nil || !bytes.HasPrefix(line, []byte("put ")) {
		return line, err
	}
	fields := bytes.Fields(line)
	size, err := strconv.Atoi(string(fields[len(fields)-1]))
	if err != nil {
		return line, err
	}
	body := make([]byte, size+2)
	n, err := io.ReadFull(in, body)
	return append(line, body[:n]...), err
}

// note records a put.
func (l *link) note(text []byte) *put {
	if !bytes.HasPrefix(text, []byte("put ")) {
		return nil
	}
	w := l.wire
	w.mu.Lock()
	defer w.mu.Unlock()
	p := newPut(text, l.life)
	for _, id := range p.ids {
		w.puts[id] = append(w.puts[id], p)
	}
	w.seen.jobs += len(p.ids)
	l.inFlight[p] = true
	select {
	case <-l.gone:
		w.disturbed(p)
	default:
		if w.trouble > 0 {
			w.disturbed(p)
		}
	}
	return p
}

// passable waits while the wire hangs. It returns false at the end of the connection.
func (l *link) passable() bool {
	l.wire.mu.Lock()
	open := l.wire.open
	l.wire.mu.Unlock()
	select {
	case <-open:
	case <-l.gone:
	}
	select {
	case <-l.gone:
		return false
	default:
		return true
	}
}

// send passes commands on to the server.
func (l *link) send(server io.Writer) {
	defer close(l.pending)
	for c := range l.forward {
		if !l.passable() {
			continue // the client may still be writing
		}
		l.wire.mu.Lock()
		part := 0
		if c.put != nil && l.wire.full {
			c.reply = "OUT_OF_MEMORY\r\n"
		} else if c.put != nil && l.next == inCommand {
			part = 1 + l.random.IntN(len(c.text)-1)
		}
		l.wire.mu.Unlock()
		if part > 0 {
			_, _ = server.Write(c.text[:part])
			l.fail(reset)
			continue
		}
		l.pending <- c
		if c.reply == "" {
			if _, err := server.Write(c.text); err != nil {
				l.fail(inOrder)
			}
		}
	}
}

func (l *link) fail(how ending) {
	l.wire.mu.Lock()
	defer l.wire.mu.Unlock()
	l.cut(how)
}

// deliver passes answers on to the client.
func (l *link) deliver(server io.Reader) {
	in := bufio.NewReader(server)
	for c := range l.pending {
		text := []byte(c.reply)
		if c.reply == "" {
			var err error
			if text, err = readAnswer(in); err != nil {
				l.fail(inOrder) // the server has ended
				continue
			}
		}
		if !l.passable() || !l.wait() {
			continue
		}
		l.give(c, text)
	}
}

// wait delays an answer.
func (l *link) wait() bool {
	l.wire.mu.Lock()
	delay := l.wire.delay
	l.wire.mu.Unlock()
	if delay == 0 {
		return true
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-l.gone:
		return false
	}
}

// give writes an answer, or a part of it. It holds mu, so that a fault comes either
// before or after it.
func (l *link) give(c *command, text []byte) {
	w := l.wire
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-l.gone:
		return
	default:
	}
	if l.next == inAnswer {
		_, _ = l.client.Write(text[:l.random.IntN(len(text))])
		l.cut(inOrder)
		return
	}
	_ = l.client.SetWriteDeadline(time.Now().Add(time.Second))
	if _, err := l.client.Write(text); err != nil {
		l.cut(inOrder)
		return
	}
	if c.put != nil {
		delete(l.inFlight, c.put)
		c.put.answered, c.put.inserted = time.Now(), bytes.HasPrefix(text, []byte("INSERTED"))
	}
}

// readAnswer reads a line, and the body that it announces.
func readAnswer(in *bufio.Reader) ([]byte, error) {
	line, err := in.ReadBytes('\n')
	if err != nil || !bytes.HasPrefix(line, []byte("OK ")) {
		return line, err
	}
	size, err := strconv.Atoi(string(bytes.TrimSpace(line[3:])))
	if err != nil {
		return nil, err
	}
	body := make([]byte, size+2)
	_, err = io.ReadFull(in, body)
	return append(line, body...), err
}
