package testbed

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

const (
	Inbox    = "runnerbean/inbox"
	runTubes = "runnerbean/run/"
	// answerTime bounds the wait for each answer.
	answerTime = 5 * time.Second
	maxAnswer  = 1 << 20
)

// Client speaks beanstalkd's text protocol over one connection. It cannot be
// used after an error.
type Client struct {
	conn net.Conn
	r    *bufio.Reader
	tube string
}

// DialBeanstalkd connects to a server. The caller closes the client.
func DialBeanstalkd(addr string) (*Client, error) {
	conn, err := net.DialTimeout("tcp", addr, answerTime)
	if err != nil {
		return nil, err
	}
	return &Client{conn: conn, r: bufio.NewReader(conn), tube: "default"}, nil
}

func (b *Client) Close() { b.conn.Close() }

// Command sends a command and returns the words of the first line of the
// answer.
func (b *Client) Command(command []byte) ([]string, error) {
	if err := b.conn.SetDeadline(time.Now().Add(answerTime)); err != nil {
		return nil, err
	}
	if _, err := b.conn.Write(command); err != nil {
		return nil, err
	}
	line, err := b.r.ReadString('\n')
	if err != nil {
		return nil, err
	}
	words := strings.Fields(line)
	if len(words) == 0 {
		return nil, errors.New("beanstalkd answers with an empty line")
	}
	return words, nil
}

// use selects the tube for later commands.
func (b *Client) use(tube string) error {
	if tube == b.tube {
		return nil
	}
	words, err := b.Command([]byte("use " + tube + "\r\n"))
	if err != nil {
		return err
	}
	if words[0] != "USING" {
		return fmt.Errorf("use: beanstalkd answers %v", words)
	}
	b.tube = tube
	return nil
}

// Put puts a body on a tube and returns after the answer INSERTED.
func (b *Client) Put(tube string, body []byte) error {
	if err := b.use(tube); err != nil {
		return err
	}
	var command bytes.Buffer
	fmt.Fprintf(&command, "put 1024 0 60 %d\r\n%s\r\n", len(body), body)
	words, err := b.Command(command.Bytes())
	if err == nil && words[0] != "INSERTED" {
		err = fmt.Errorf("put: beanstalkd answers %v", words)
	}
	return err
}

// kick makes the delayed messages of a tube ready.
func (b *Client) kick(tube string) error {
	if err := b.use(tube); err != nil {
		return err
	}
	words, err := b.Command([]byte("kick 1000\r\n"))
	if err == nil && words[0] != "KICKED" {
		err = fmt.Errorf("kick: beanstalkd answers %v", words)
	}
	return err
}

var errNoTube = errors.New("no such tube")

// stats returns the answer to "stats" or "stats-tube NAME".
func (b *Client) stats(command string) (map[string]string, error) {
	body, err := b.body(command)
	if err != nil {
		return nil, err
	}
	stats := map[string]string{}
	for line := range strings.Lines(body) {
		if key, value, ok := strings.Cut(line, ": "); ok {
			stats[key] = strings.Trim(strings.TrimSpace(value), `"`)
		}
	}
	return stats, nil
}

// body returns an answer of the form "OK <bytes>".
func (b *Client) body(command string) (string, error) {
	words, err := b.Command([]byte(command + "\r\n"))
	if err != nil {
		return "", err
	}
	if words[0] == "NOT_FOUND" {
		return "", errNoTube
	}
	if words[0] != "OK" || len(words) != 2 {
		return "", fmt.Errorf("%s: beanstalkd answers %v", command, words)
	}
	n, err := strconv.Atoi(words[1])
	if err != nil || n < 0 || n > maxAnswer {
		return "", fmt.Errorf("%s: beanstalkd answers %v", command, words)
	}
	body := make([]byte, n+2)
	_, err = io.ReadFull(b.r, body)
	return string(body), err
}

// Count returns how many messages a tube has, and how many of them are buried.
func (b *Client) Count(tube string) (all, buried int, err error) {
	stats, err := b.stats("stats-tube " + tube)
	if errors.Is(err, errNoTube) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, err
	}
	for _, state := range []string{"ready", "reserved", "delayed", "buried"} {
		n, err := strconv.Atoi(stats["current-jobs-"+state])
		if err != nil {
			return 0, 0, fmt.Errorf("stats-tube %s: %w", tube, err)
		}
		all += n
		buried = n // of the last state
	}
	return all, buried, nil
}

// Tubes returns the tubes of the server.
func (b *Client) Tubes() ([]string, error) {
	body, err := b.body("list-tubes")
	if err != nil {
		return nil, err
	}
	var tubes []string
	for line := range strings.Lines(body) {
		if name, ok := strings.CutPrefix(line, "- "); ok {
			tubes = append(tubes, strings.TrimSpace(name))
		}
	}
	return tubes, nil
}

// RunTube returns the run tube of a program, of any ledger. Without one, it
// returns a name that no tube has.
func (b *Client) RunTube(program string) (string, error) {
	tubes, err := b.Tubes()
	if err != nil {
		return "", err
	}
	for _, tube := range tubes {
		if strings.HasPrefix(tube, runTubes) && strings.HasSuffix(tube, "/"+program) {
			return tube, nil
		}
	}
	return runTubes + program, nil
}

// Split returns the host and the port of an address.
func Split(addr string) (host, port string) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		panic(err) // all addresses come from this package
	}
	return host, port
}

// Counts returns the number of messages on each of Runnerbean's tubes. With
// kick, it makes delayed messages ready, but not on a tube with buried
// messages: kick would hide these.
func (b *Client) Counts(kick bool) (map[string]int, error) {
	tubes, err := b.Tubes()
	if err != nil {
		return nil, err
	}
	counts := map[string]int{Inbox: 0}
	for _, tube := range tubes {
		if tube != Inbox && !strings.HasPrefix(tube, runTubes) {
			continue
		}
		all, buried, err := b.Count(tube)
		if err != nil {
			return nil, err
		}
		counts[tube] = all
		if kick && all > 0 && buried == 0 {
			err = b.kick(tube)
		}
		if err != nil {
			return nil, err
		}
	}
	return counts, nil
}

// PutMany puts bodies on the tube in use, and reads the answers after that.
func (b *Client) PutMany(bodies [][]byte) error {
	var command []byte
	for _, body := range bodies {
		command = fmt.Appendf(command, "put 1024 0 60 %d\r\n%s\r\n", len(body), body)
	}
	words, err := b.Command(command)
	for i := 1; err == nil; i++ {
		if words[0] != "INSERTED" {
			return fmt.Errorf("put: beanstalkd answers %v", words)
		}
		if i == len(bodies) {
			return nil
		}
		var line string
		line, err = b.r.ReadString('\n')
		words = strings.Fields(line + " -")
	}
	return err
}
