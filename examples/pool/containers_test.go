//go:build containers

// Package pool tests the compose files, with a container engine.
package pool

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/runnerbean/runnerbean/internal/browsertest"
	"github.com/runnerbean/runnerbean/jobs"
)

const (
	// patience bounds each wait, for a busy machine.
	patience = 5 * time.Minute
	// buildTime bounds a build from nothing.
	buildTime = 30 * time.Minute
)

// TestOneNode runs the demo job in the small setup, and a program that tries to reach its
// node and to outlive its job.
func TestOneNode(t *testing.T) {
	s := newStack(t, "one", "docker-compose.yml")
	s.addProgram("node", "spy", spy)
	s.up()
	s.healthy("node")
	if result := s.await(s.order()); result.State != jobs.Succeeded {
		t.Errorf("%+v", result)
	}
	s.checkNode("node")
	s.checkSpy("node")
}

// spy leaves a process in another session, and prints what it can reach.
const spy = `#!/bin/sh
cat >/dev/null
setsid sleep 98765 </dev/null >/dev/null 2>&1 3>&1 &
can() { "$@" >/dev/null 2>&1 && echo true || echo false; }
echo "{\"secrets\":$(can cat /proc/1/environ),\"binary\":$(can test -r "$(command -v runnerbean)"),\"root\":$(can test "$(id -u)" = 0),\"write\":$(can touch /usr/local/spy)}"
`

// checkSpy checks that the isolation is what doctor says it is.
func (s *stack) checkSpy(node string) {
	s.t.Helper()
	const says = "process group, subreaper and a mark on each process"
	if isolation := s.doctor(node)["isolation"]; !strings.Contains(isolation, says) || !strings.Contains(isolation, "environment are closed to them") {
		s.t.Errorf("doctor says %q", isolation)
	}
	client, err := jobs.New(jobs.Config{BaseURL: s.results, Durable: true, Token: s.token})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { client.Close() })
	job, err := client.Enqueue(s.t.Context(), jobs.Job{Program: "spy", Input: jobs.Data(1)})
	if err != nil {
		s.t.Fatal(err)
	}
	result := s.await(job.Result.URL)
	if got := string(result.Result); got != `{"secrets":false,"binary":false,"root":false,"write":false}` {
		s.t.Errorf("a program reaches %s %+v", got, result)
	}
	s.until("the process that a program left has ended", func() bool {
		return !strings.Contains(s.docker("top", s.container(node)), "98765")
	})
}

// TestPool orders the demo job in chromium, kills a node, and looks again.
func TestPool(t *testing.T) {
	s := newStack(t, "pool", "examples/pool/docker-compose.yml")
	s.up()
	nodes := []string{"worker1", "worker2"}
	s.healthy(append(nodes, "beanstalkd1", "beanstalkd2", "postgres", "store")...)
	for _, node := range nodes {
		s.checkNode(node)
		if database := s.doctor(node)["database"]; !strings.Contains(database, "PostgreSQL") {
			t.Errorf("%s: doctor says of the database %q", node, database)
		}
	}
	// The browser logs the 404 that a result URL answers until the ledger has the job.
	tab := browsertest.NewTab(t, browsertest.Start(t), "404")
	tab.Do(chromedp.Navigate(s.website+"/"), chromedp.WaitVisible(`button`), chromedp.Click(`button`), chromedp.WaitVisible(`#result`))
	tab.Until(`document.querySelector('runnerbean-result').shadowRoot.querySelector('svg path')`)
	tab.Until(`document.querySelector('#errors').textContent.includes('%')`)
	tab.Shoot("pool-forecast")
	first := s.results + "/" + path.Base(browsertest.Evaluate[string](tab, `location.pathname`))
	before := s.await(first)

	s.docker("kill", s.container(nodes[0]))
	if after := s.await(first); after.State != jobs.Succeeded || string(after.Result) != string(before.Result) {
		t.Errorf("after the kill of a node: %+v", after)
	}
	if second := s.await(s.order()); second.State != jobs.Succeeded {
		t.Errorf("the next job: %+v", second)
	}
	tab.Do(chromedp.Navigate(first), chromedp.WaitVisible(`details`))
	tab.Until(`document.body.textContent.includes('Succeeded on worker')`)
	tab.Shoot("pool-result")
	tab.CheckComplaints()
}

// stack is what one compose file starts, with a project name of its own.
type stack struct {
	t                       *testing.T
	compose                 []string // command
	env                     []string
	folder                  string // checkout
	website, results, token string
}

// newStack makes a clean checkout, with the changes of files that git knows.
func newStack(t *testing.T, name, file string) *stack {
	t.Helper()
	s := &stack{t: t, folder: t.TempDir(), token: rand.Text()}
	s.run(time.Minute, "sh", "-c", `cd ../.. && revision=$(git stash create) && git -c tar.umask=022 archive "${revision:-HEAD}" | tar -xC "$0"`, s.folder)
	s.compose = []string{"docker-compose"}
	if exec.CommandContext(t.Context(), "docker", "compose", "version").Run() == nil {
		s.compose = []string{"docker", "compose"}
	}
	s.compose = append(s.compose, "-p", "runnerbean-test-"+name, "-f", filepath.Join(s.folder, file))
	website, results := freePort(t), freePort(t)
	s.website, s.results = "http://localhost:"+website, "http://localhost:"+results
	s.env = append(os.Environ(), "WEBSITE_PORT="+website, "NODE_PORT="+results, "BALANCER_PORT="+results, "RUNNERBEAN_BASE_URL="+s.results,
		"RUNNERBEAN_TOKEN="+s.token, "POSTGRES_PASSWORD="+rand.Text(), "S3_SECRET_KEY="+rand.Text(), "POOL_NETWORK=172.31.85")
	return s
}

func freePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// addProgram installs a program in the container of a node, as docs/operations.md says.
func (s *stack) addProgram(service, name, script string) {
	s.t.Helper()
	folder := s.t.TempDir() // in the checkout they would be part of the build
	program, override := filepath.Join(folder, name), filepath.Join(folder, "override.yml")
	text := fmt.Sprintf("services: {%s: {volumes: ['%s:/usr/local/lib/runnerbean/programs/%s:ro']}}\n", service, program, name)
	for file, content := range map[string]string{program: script, override: text} {
		if err := os.WriteFile(file, []byte(content), 0o755); err != nil {
			s.t.Fatal(err)
		}
	}
	s.compose = append(s.compose, "-f", override)
}

// up starts all, and takes down what a run that was killed has left.
func (s *stack) up() {
	s.t.Helper()
	s.down()
	s.t.Cleanup(func() {
		if s.t.Failed() {
			s.t.Log(s.do(context.Background(), s.composed("ps")...))
			s.t.Log(s.do(context.Background(), s.composed("logs", "--no-color", "--tail", "40")...))
		}
		s.down()
	})
	s.run(buildTime, s.composed("up", "-d", "--build")...)
}

func (s *stack) down() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if out, err := s.do(ctx, s.composed("down", "-v", "--remove-orphans", "--rmi", "local", "-t", "10")...); err != nil {
		s.t.Errorf("down: %v\n%s", err, out)
	}
}

func (s *stack) composed(args ...string) []string {
	return append(s.compose[:len(s.compose):len(s.compose)], args...)
}

func (s *stack) docker(args ...string) string {
	s.t.Helper()
	return s.run(patience, append([]string{"docker"}, args...)...)
}

func (s *stack) run(limit time.Duration, args ...string) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), limit)
	defer cancel()
	out, err := s.do(ctx, args...)
	if err != nil {
		s.t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out[max(0, len(out)-4000):])
	}
	return strings.TrimSpace(out)
}

func (s *stack) do(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env, cmd.WaitDelay = s.env, time.Second
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (s *stack) container(service string) string {
	s.t.Helper()
	return s.run(patience, s.composed("ps", "-q", service)...)
}

func (s *stack) until(what string, done func() bool) {
	s.t.Helper()
	for end := time.Now().Add(patience); !done(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("not in %s: %s", patience, what)
		}
	}
}

// healthy waits for the health checks of the compose file.
func (s *stack) healthy(services ...string) {
	s.t.Helper()
	for _, service := range services {
		id := s.container(service)
		s.until(service+" is healthy", func() bool { return s.docker("inspect", "-f", "{{.State.Health.Status}}", id) == "healthy" })
	}
}

// checkNode checks that a node is no root, cannot write its root file system, and finds
// no fault with itself.
func (s *stack) checkNode(node string) {
	s.t.Helper()
	id := s.container(node)
	if got := s.docker("inspect", "-f", "{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.SecurityOpt}}", id); got != "true [ALL] [no-new-privileges:true]" {
		s.t.Errorf("%s: %s", node, got)
	}
	if uid := s.docker("exec", id, "id", "-u"); uid != "10001" {
		s.t.Errorf("%s runs as %s", node, uid)
	}
	if out, err := s.do(s.t.Context(), "docker", "exec", id, "touch", "/usr/local/file"); err == nil || !strings.Contains(out, "Read-only file system") {
		s.t.Errorf("%s writes its root: %v %s", node, err, out)
	}
	s.doctor(node)
}

// doctor returns what doctor says in a container, by check. All must be well.
func (s *stack) doctor(node string) map[string]string {
	s.t.Helper()
	var findings []struct{ Check, Status, Detail string }
	out := s.docker("exec", s.container(node), "runnerbean", "doctor", "--json")
	if err := json.Unmarshal([]byte(out), &findings); err != nil {
		s.t.Fatalf("%v\n%s", err, out)
	}
	details := map[string]string{}
	for _, f := range findings {
		details[f.Check] = f.Detail
		if f.Status != "ok" {
			s.t.Errorf("%s: doctor: %+v", node, f)
		}
	}
	return details
}

// order sends the form of the website, and returns the URL of the result.
func (s *stack) order() string {
	s.t.Helper()
	client := http.Client{Timeout: time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.PostForm(s.website+"/forecasts", url.Values{"horizon": {"336"}})
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close()
	id := path.Base(answer.Header.Get("Location"))
	if !jobs.ValidID(id) {
		text, _ := io.ReadAll(answer.Body)
		s.t.Fatalf("the website answers %s\n%s", answer.Status, text)
	}
	return s.results + "/" + id
}

// await reads the result at a URL.
func (s *stack) await(resultURL string) jobs.Result {
	s.t.Helper()
	client, err := jobs.New(jobs.Config{})
	if err != nil {
		s.t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	result, err := client.Wait(ctx, resultURL)
	if err != nil {
		s.t.Fatal(err)
	}
	return result
}
