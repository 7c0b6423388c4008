package process

import (
	"context"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// TestSignal sends a signal to a program: not while it has no handler, and not after its end.
func TestSignal(t *testing.T) {
	t.Parallel()
	var h Handle
	if h.Signal(unix.SIGUSR1) {
		t.Error("a signal is sent to no program")
	}
	const script = `PATH=/usr/bin:/bin; echo none >&3; read line; trap 'echo got >&3; exit 7' USR1; echo ready >&3; while :; do sleep 0.01; done`
	feed, say, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer feed.Close()
	defer say.Close()
	var said []string
	spec := Spec{Path: "/bin/sh", Args: []string{"-c", script}, StdinFile: feed, Handle: &h}
	spec.Event = func(line []byte) {
		said = append(said, string(line))
		switch string(line) {
		case "none":
			if h.Signal(unix.SIGUSR1) {
				t.Error("a signal is sent to a program without a handler")
			}
			_, _ = say.WriteString("go on\n")
		case "ready":
			if h.Signal(unix.SIGUSR2) || !h.Signal(unix.SIGUSR1) {
				t.Error("it gets the wrong signal, or none")
			}
		}
	}
	exit, err := Run(context.Background(), spec)
	if err != nil || exit.Code != 7 || len(said) != 3 || h.Signal(unix.SIGUSR1) {
		t.Errorf("%+v, %v, %q", exit, err, said)
	}
}

func TestHandles(t *testing.T) {
	t.Parallel()
	for status, want := range map[string]bool{
		"":                                      false,
		"Name:\tx\nSigCgt:":                     false,
		"Name:\tx\nSigCgt:\tzz\n":               false,
		"Name:\tx\nSigCgt:\t0000000000000200\n": true, // SIGUSR1 is 10
		"Name:\tx\nSigCgt:\t0000000000000400\n": false,
		"Name:\tSigCgt:\t0200\nSigCgt:\t0\n":    false,
	} {
		if got := handles([]byte(status), unix.SIGUSR1); got != want {
			t.Errorf("%q: %t", status, got)
		}
	}
}
