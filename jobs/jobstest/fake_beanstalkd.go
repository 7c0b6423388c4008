package jobstest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
)

const (
	// maxCommand bounds a line of a client, and maxBody a message, in bytes.
	maxCommand = 300
	maxBody    = 1 << 20
	// stats is what a client asks for when it connects.
	stats = "---\nid: jobstest\nversion: \"1.13\"\ndraining: false\n"
)

// fakeBeanstalkd speaks as much of beanstalkd's protocol as a producer needs.
type fakeBeanstalkd struct {
	put      func(tube string, body []byte)
	isDown   func() bool
	listener net.Listener
	work     sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]bool
	ended bool
	jobs  uint64
}

// run accepts connections until close.
func (b *fakeBeanstalkd) run() {
	b.conns = map[net.Conn]bool{}
	b.work.Go(func() {
		for {
			conn, err := b.listener.Accept()
			if err != nil {
				return
			}
			if b.isDown() || !b.keep(conn) {
				conn.Close()
				continue
			}
			b.work.Go(func() {
				defer b.drop(conn)
				b.serve(conn)
			})
		}
	})
}

func (b *fakeBeanstalkd) addr() string { return b.listener.Addr().String() }

// close ends all connections and waits for their goroutines.
func (b *fakeBeanstalkd) close() {
	b.listener.Close()
	b.mu.Lock()
	b.ended = true
	b.mu.Unlock()
	b.cut()
	b.work.Wait()
}

// cut ends the present connections.
func (b *fakeBeanstalkd) cut() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for conn := range b.conns {
		conn.Close()
	}
}

func (b *fakeBeanstalkd) keep(conn net.Conn) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.ended {
		b.conns[conn] = true
	}
	return !b.ended
}

func (b *fakeBeanstalkd) drop(conn net.Conn) {
	conn.Close()
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.conns, conn)
}

// serve answers the commands of one connection. It writes when the client has sent
// nothing more, since a client may send many commands at once.
func (b *fakeBeanstalkd) serve(conn net.Conn) {
	in, out := bufio.NewReader(conn), bufio.NewWriter(conn)
	tube := "default"
	for {
		if in.Buffered() == 0 && out.Flush() != nil {
			return
		}
		line, err := in.ReadSlice('\n')
		if err != nil || len(line) > maxCommand {
			return
		}
		answer, ok := b.command(strings.TrimRight(string(line), "\r\n"), &tube, in)
		out.WriteString(answer)
		if !ok {
			out.Flush()
			return
		}
	}
}

// command returns the answer to one command. ok is false at the end of the connection.
func (b *fakeBeanstalkd) command(line string, tube *string, in io.Reader) (answer string, ok bool) {
	name, rest, _ := strings.Cut(line, " ")
	switch name {
	case "use":
		*tube = rest
		return "USING " + rest + "\r\n", true
	case "put":
		return b.putCommand(rest, *tube, in)
	case "stats":
		return fmt.Sprintf("OK %d\r\n%s\r\n", len(stats), stats), true
	case "quit":
		return "", false
	}
	return "UNKNOWN_COMMAND\r\n", true
}

// putCommand reads the message of a put: <priority> <delay> <ttr> <bytes>.
func (b *fakeBeanstalkd) putCommand(arguments, tube string, in io.Reader) (answer string, ok bool) {
	fields := strings.Fields(arguments)
	if len(fields) != 4 {
		return "BAD_FORMAT\r\n", false
	}
	size, err := strconv.Atoi(fields[3])
	if err != nil || size < 0 || size > maxBody {
		return "JOB_TOO_BIG\r\n", false
	}
	body := make([]byte, size+2)
	if _, err := io.ReadFull(in, body); err != nil {
		return "", false
	}
	if string(body[size:]) != "\r\n" {
		return "EXPECTED_CRLF\r\n", false
	}
	b.put(tube, body[:size])
	b.mu.Lock()
	defer b.mu.Unlock()
	b.jobs++
	return fmt.Sprintf("INSERTED %d\r\n", b.jobs), true
}
