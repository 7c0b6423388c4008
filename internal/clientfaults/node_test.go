package clientfaults

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// patience bounds each wait for progress: a busy machine may be slow, a test must end.
const patience = 2 * time.Minute

// node is a real node.
type node struct {
	url string
	cmd *exec.Cmd
}

// startNode starts a node that takes jobs from servers, with a program that gives back its
// input. Its log is shown if the test fails.
func startNode(t *testing.T, servers ...string) *node {
	t.Helper()
	dir := t.TempDir()
	programs := filepath.Join(dir, "programs")
	if err := os.Mkdir(programs, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(programs, "echo"), []byte("#!/bin/sh\nexec cat\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	listen := freeAddr(t)
	n := &node{url: "http://" + listen, cmd: exec.Command(binary(t), "worker")}
	n.cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + dir,
		"RUNNERBEAN_BEANSTALKD=" + strings.Join(servers, ","), "RUNNERBEAN_LISTEN=" + listen, "RUNNERBEAN_NODE=faults",
		"RUNNERBEAN_DATA=" + filepath.Join(dir, "data"), "RUNNERBEAN_PROGRAMS=" + programs, "RUNNERBEAN_SLOTS=4", "RUNNERBEAN_TOKEN=" + token,
		"RUNNERBEAN_SHUTDOWN_GRACE=0s", "RUNNERBEAN_GRACE=1s", "RUNNERBEAN_LOG=text", "RUNNERBEAN_MIN_FREE=1MiB",
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	n.cmd.Stdout, n.cmd.Stderr = log, log
	if err := n.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = n.cmd.Process.Signal(os.Interrupt)
		timer := time.AfterFunc(10*time.Second, func() { _ = n.cmd.Process.Kill() })
		_ = n.cmd.Wait()
		timer.Stop()
		log.Close()
		if t.Failed() {
			t.Logf("the node's log without its jobs:\n%s", withoutJobs(log.Name()))
		}
	})
	n.ready(t)
	return n
}

// withoutJobs returns the end of a log without the lines about jobs that have ended.
func withoutJobs(file string) string {
	text, _ := os.ReadFile(file)
	var kept []string
	for line := range strings.Lines(string(text)) {
		if !strings.Contains(line, "attempt ended") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept[max(0, len(kept)-100):], "")
}

// binary returns the binary that the environment variable RUNNERBEAN names, or builds it.
func binary(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("RUNNERBEAN"); path != "" {
		return path
	}
	path := filepath.Join(t.TempDir(), "runnerbean")
	cmd := exec.Command("go", "build", "-trimpath", "-o", path, "github.com/runnerbean/runnerbean/cmd/runnerbean")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (n *node) ready(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if n.get(t.Context(), "/readyz", nil) == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the node is not ready")
		}
	}
}

// get reads JSON of the API.
func (n *node) get(ctx context.Context, path string, v any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, n.url+path, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s %s", path, resp.Status, body.String())
	}
	if v == nil {
		return nil
	}
	return json.Unmarshal(body.Bytes(), v)
}
