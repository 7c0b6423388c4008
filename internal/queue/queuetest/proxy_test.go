package queuetest

import (
	"bufio"
	"fmt"
	"net"
	"testing"
	"time"
)

// TestProxy passes commands, holds them while it hangs, and ends connections.
func TestProxy(t *testing.T) {
	t.Parallel()
	p := StartProxy(t, Start(t).Addr)
	dial := func() (net.Conn, *bufio.Reader) {
		conn, err := net.Dial("tcp", p.Addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn, bufio.NewReader(conn)
	}
	ask := func(conn net.Conn, in *bufio.Reader, limit time.Duration) string {
		_ = conn.SetDeadline(time.Now().Add(limit))
		_, _ = fmt.Fprint(conn, "put 0 0 60 2\r\nhi\r\n")
		line, _ := in.ReadString('\n')
		return line
	}
	conn, in := dial()
	for i, mode := range []func(){func() {}, func() { p.Delay(time.Millisecond) }, func() { p.DelayAll(time.Millisecond) }, func() { p.Latency(time.Millisecond) }, p.Resume} {
		mode()
		if got, want := ask(conn, in, patience), fmt.Sprintf("INSERTED %d\r\n", i+1); got != want {
			t.Fatalf("mode %d: %q, want %q", i, got, want)
		}
	}
	p.Hang()
	if got := ask(conn, in, 50*time.Millisecond); got != "" {
		t.Errorf("while it hangs: %q", got)
	}
	p.Resume()
	if got := ask(conn, in, patience); got != "INSERTED 6\r\n" {
		t.Errorf("the answer to what was held: %q", got)
	}
	p.Cut()
	if got := ask(conn, in, patience); got == "INSERTED 8\r\n" {
		t.Errorf("after a cut: %q", got)
	}
	p.Refuse()
	if c, err := net.Dial("tcp", p.Addr); err == nil {
		c.Close()
		t.Error("a connection was not refused")
	}
	p.Resume()
	conn, in = dial()
	if got := ask(conn, in, patience); got == "" {
		t.Error("after Resume: no answer")
	}
	// An answer is counted after it was passed on.
	for end := time.Now().Add(patience); p.Counts().Puts < 7 && time.Now().Before(end); time.Sleep(time.Millisecond) {
	}
	if got := p.Counts(); got.Puts < 7 || got.Conns != 2 || got.Busy == 0 || got.Idle == 0 {
		t.Errorf("%+v", got)
	}
}
