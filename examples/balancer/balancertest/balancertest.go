// Package balancertest starts HAProxy and Varnish with the example configurations. Tests use it.
package balancertest

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// All are the balancers by name.
var All = map[string]func(t *testing.T, addr, nodes string) string{"haproxy": HAProxy, "varnish": Varnish}

// FreePort returns an address on which nothing listens.
func FreePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// config writes an example with other addresses.
func config(t *testing.T, file string, pairs ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "balancer", file)) // from any other example
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), file)
	if err := os.WriteFile(path, []byte(strings.NewReplacer(pairs...).Replace(string(text))), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// run starts a server that ends with the test, and waits until it passes requests on.
func run(t *testing.T, addr, name string, args ...string) string {
	t.Helper()
	binary, err := exec.LookPath(name)
	if err != nil {
		binary = "/usr/sbin/" + name
	}
	cmd := exec.Command(binary, args...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v (apt install %s)", err, strings.TrimSuffix(name, "d"))
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
	})
	base := "http://" + addr
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if status, _, err := Get(t.Context(), base+"/readyz"); err == nil && status == http.StatusOK {
			return base
		}
		if time.Now().After(end) {
			t.Fatalf("%s does not answer", name)
		}
	}
}

// HAProxy starts HAProxy at an address, in front of three nodes that are all at another one. It
// returns its URL.
func HAProxy(t *testing.T, addr, nodes string) string {
	t.Helper()
	file := config(t, "haproxy.cfg", "bind :80", "bind "+addr, "worker1:8420", nodes, "worker2:8420", nodes, "worker3:8420", nodes)
	return run(t, addr, "haproxy", "-db", "-f", file)
}

// Varnish does with Varnish what [HAProxy] does.
func Varnish(t *testing.T, addr, nodes string) string {
	t.Helper()
	host, port, err := net.SplitHostPort(nodes)
	if err != nil {
		t.Fatal(err)
	}
	file := config(t, "varnish.vcl", `"worker1"`, `"`+host+`"`, `"worker2"`, `"`+host+`"`, `"worker3"`, `"`+host+`"`, `"8420"`, `"`+port+`"`)
	return run(t, addr, "varnishd", "-F", "-a", addr, "-f", file, "-n", t.TempDir(), "-s", "malloc,64m", "-j", "none")
}

// Get returns the status and the body of an answer.
func Get(ctx context.Context, url string) (status int, body string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), err
}
