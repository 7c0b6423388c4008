package queuetest

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

func TestMessagesOutliveTheServer(t *testing.T) {
	t.Parallel()
	tests := map[string]func(*Server){
		"kill":    func(s *Server) { s.Kill(); s.Restart() },
		"stop":    func(s *Server) { s.Stop(); s.Restart() },
		"restart": func(s *Server) { s.Restart() },
	}
	for name, end := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := Start(t, "-f0")
			addr := s.Addr
			if got := ask(t, s, "put 0 0 60 2\r\nhi\r\n"); got != "INSERTED 1" {
				t.Fatalf("put: %q", got)
			}
			end(s)
			if s.Addr != addr {
				t.Errorf("address changed from %s to %s", addr, s.Addr)
			}
			if got := ask(t, s, "reserve-with-timeout 0\r\n"); got != "RESERVED 1 2" {
				t.Errorf("reserve after %s: %q", name, got)
			}
		})
	}
}

func TestStoppedServerDoesNotAnswer(t *testing.T) {
	t.Parallel()
	s := Start(t)
	s.Stop()
	s.Stop() // twice is fine
	s.Kill()
	if _, ok := answers(s.Addr, time.Now().Add(time.Second)); ok {
		t.Error("a stopped server answers")
	}
}

func ask(t *testing.T, s *Server, command string) string {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := fmt.Fprint(conn, command); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(line, "\r\n")
}
