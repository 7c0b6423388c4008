package jobstest

import (
	"bytes"
	"io"
	"net"
	"testing"
)

// bytesConn is a connection whose client has sent all that it will.
type bytesConn struct {
	net.Conn
	in  io.Reader
	out bytes.Buffer
}

func (c *bytesConn) Read(p []byte) (int, error)  { return c.in.Read(p) }
func (c *bytesConn) Write(p []byte) (int, error) { return c.out.Write(p) }

func FuzzFakeBeanstalkd(f *testing.F) {
	f.Add([]byte("stats\r\nuse a/inbox\r\nput 1 0 60 2\r\n{}\r\nquit\r\n"))
	f.Add([]byte("put 1 0 60 -2\r\n"))
	f.Add([]byte("put 1 0 60 1\r\nabc"))
	f.Fuzz(func(t *testing.T, sent []byte) {
		b := &fakeBeanstalkd{put: func(_ string, body []byte) {
			if len(body) > len(sent) {
				t.Errorf("a body of %d bytes", len(body))
			}
		}}
		conn := &bytesConn{in: bytes.NewReader(sent)}
		b.serve(conn)
		if answer := conn.out.Bytes(); len(answer) > 0 && !bytes.HasSuffix(answer, []byte("\r\n")) {
			t.Errorf("answered %q", answer)
		}
	})
}
