package main

import (
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
)

// manager starts the socket of a service manager. told waits for a message.
func manager(t *testing.T) (path string, told func(want string)) {
	t.Helper()
	folder, err := os.MkdirTemp("", "rb") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	path = filepath.Join(folder, "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	return path, func(want string) {
		t.Helper()
		buf := make([]byte, 1024)
		socket.SetReadDeadline(time.Now().Add(patience))
		for {
			n, err := socket.Read(buf)
			if err != nil {
				t.Fatalf("was not told %s: %v", want, err)
			}
			if string(buf[:n]) == want {
				return
			}
		}
	}
}

func TestNodeTellsItsServiceManagerHowItStands(t *testing.T) {
	t.Parallel()
	server := queuetest.Start(t)
	p := newNode(t, server.Addr)
	path, told := manager(t)
	p.env = append(p.env, "NOTIFY_SOCKET="+path, "WATCHDOG_USEC=60000000")
	p.start("worker")
	told("READY=1")
	told("WATCHDOG=1")
	told("WATCHDOG=1")
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	told("STOPPING=1")
}

// TestUnitsUseRealSettings checks the names of settings in the example units.
func TestUnitsUseRealSettings(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, name := range settings.Names() {
		known[name] = true
	}
	text, err := os.ReadFile("../../examples/systemd/runnerbean.service")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range regexp.MustCompile(`RUNNERBEAN_[A-Z_]+[A-Z]`).FindAllString(string(text), -1) {
		if !known[name] && name != "RUNNERBEAN_NAME" {
			t.Errorf("the unit names %s, which is no setting", name)
		}
	}
	for _, line := range []string{"Type=notify", "WatchdogSec=", "Delegate=", "Restart=always", "WantedBy=multi-user.target", "KillMode=mixed"} {
		if !strings.Contains(string(text), "\n"+line) {
			t.Errorf("the unit has no %s", line)
		}
	}
}
