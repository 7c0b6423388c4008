package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// roleVar makes the test binary run as a child of the demo.
const roleVar = "DEMO_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(roleVar) {
	case "obeys", "fails at the end":
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		defer stop()
		fmt.Println("up")
		<-ctx.Done()
		if os.Getenv(roleVar) == "fails at the end" {
			fmt.Println("last words")
			os.Exit(3)
		}
		return
	case "ends":
		fmt.Println("port is taken")
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

func startChild(t *testing.T, role string) (f *family, log string) {
	t.Helper()
	f = &family{ended: make(chan string, 1)}
	log = filepath.Join(t.TempDir(), "log")
	if err := f.start("child", log, append(inherited(), roleVar+"="+role), os.Args[0]); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.children[0].cmd.Process.Kill(); <-f.children[0].done })
	return f, log
}

// says waits until the log of a child contains a text.
func says(t *testing.T, log, text string) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(10 * time.Second)
	for {
		if got, _ := os.ReadFile(log); strings.Contains(string(got), text) {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("the child never said %q", text)
		}
	}
}

func TestStop(t *testing.T) {
	t.Parallel()
	for role, want := range map[string]string{"obeys": "", "fails at the end": "last words"} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			f, log := startChild(t, role)
			says(t, log, "up")
			err := f.stop()
			if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("stopped with %v, want %q", err, want)
			}
		})
	}
}

func TestChildThatEndsIsTold(t *testing.T) {
	t.Parallel()
	f, _ := startChild(t, "ends")
	never := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }))
	defer never.Close()
	defer http.DefaultClient.CloseIdleConnections()
	if err := f.answers(t.Context(), never.URL); err == nil || !strings.Contains(err.Error(), "port is taken") {
		t.Errorf("got %v, want the child's last words", err)
	}
	if err := f.stop(); err != nil {
		t.Errorf("told twice: %v", err)
	}
}

func TestTakenPort(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	got, err := port("the node", taken.Addr().String())
	if err != nil || got == taken.Addr().String() {
		t.Errorf("got %s, %v: want another address", got, err)
	}
}

func TestNothingOfTheNodesSettingsIsInherited(t *testing.T) {
	t.Setenv("RUNNERBEAN_TOKEN", "secret")
	t.Setenv("WEBSITE_URL", "http://elsewhere.example")
	t.Setenv("OTHER", "kept")
	got := strings.Join(inherited(), "\n")
	if strings.Contains(got, "secret") || strings.Contains(got, "elsewhere") || !strings.Contains(got, "OTHER=kept") {
		t.Errorf("inherited:\n%s", got)
	}
}
