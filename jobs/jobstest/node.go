package jobstest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/jobs"
)

// Node is a real node and a real beanstalkd of its own.
type Node struct {
	// Client puts jobs on the node's beanstalkd and is closed with the node.
	Client *jobs.Client
	// URL is the address of the node. Result URLs begin with it.
	URL string

	beanstalkd string // address
	token      string
	life       *life // nil before the first start
}

// Start starts a private beanstalkd and a node with some programs, and waits until
// /readyz says that it is ready, about half a second. Both end with the test, and their
// folders go. Their log is shown if the test fails. Jobs may fetch inputs from this
// machine.
//
// beanstalkd must be installed. The node is the binary that the environment variable
// RUNNERBEAN names, else "runnerbean" in the PATH, else one that go builds from the
// version of this module that the test uses: the first time that takes a minute, and
// the binary stays in the user's cache folder ([os.UserCacheDir]). The test fails if one of them is missing.
func Start(tb testing.TB, programs ...Program) *Node {
	tb.Helper()
	if _, err := exec.LookPath("beanstalkd"); err != nil {
		tb.Fatal("jobstest: beanstalkd is not installed: apt-get install beanstalkd (macOS: brew install beanstalkd)")
	}
	binary, err := findBinary(tb.Context(), tb.Logf)
	if err != nil {
		tb.Fatalf("jobstest: %v", err)
	}
	dir := tb.TempDir()
	if err := install(filepath.Join(dir, "programs"), programs); err != nil {
		tb.Fatalf("jobstest: %v", err)
	}
	n := &Node{token: "jobstest-" + jobs.NewID()}
	tb.Cleanup(func() { n.end(tb) })
	const tries = 5 // another process may take a free port first
	for range tries {
		if err = n.start(tb.Context(), binary, dir); err == nil || !errors.Is(err, errEnded) {
			break
		}
	}
	if err == nil {
		err = n.hasPrograms(tb.Context(), programs)
	}
	if err == nil {
		n.Client, err = jobs.New(n.Config())
	}
	if err != nil {
		tb.Fatalf("jobstest: %v", err)
	}
	return n
}

// Config returns the configuration of a client of the node.
func (n *Node) Config() jobs.Config {
	return jobs.Config{Beanstalkd: []string{n.beanstalkd}, BaseURL: n.URL, Token: n.token}
}

func (n *Node) end(tb testing.TB) {
	if n.Client != nil {
		n.Client.Close()
	}
	if n.life == nil {
		return
	}
	n.life.end()
	if tb.Failed() {
		tb.Logf("log of the node:\n%s", n.life.log.String())
	}
}

// start starts the node on free ports and waits until it is ready.
func (n *Node) start(ctx context.Context, binary, dir string) error {
	queue, err := freeAddr()
	if err != nil {
		return err
	}
	listen, err := freeAddr()
	if err != nil {
		return err
	}
	n.beanstalkd, n.URL = queue, "http://"+listen
	cmd := exec.Command(binary, "dev")
	cmd.Dir = dir
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + dir,
		"RUNNERBEAN_BEANSTALKD=" + queue, "RUNNERBEAN_LISTEN=" + listen, "RUNNERBEAN_NODE=jobstest",
		"RUNNERBEAN_DATA=" + filepath.Join(dir, "data"), "RUNNERBEAN_PROGRAMS=" + filepath.Join(dir, "programs"),
		"RUNNERBEAN_TOKEN=" + n.token, "RUNNERBEAN_SHUTDOWN_GRACE=0s", "RUNNERBEAN_GRACE=1s", "RUNNERBEAN_LOG=text",
	}
	n.life, err = begin(cmd)
	if err != nil {
		return err
	}
	return n.life.ready(ctx, n.URL+"/readyz")
}

// hasPrograms returns an error that says why the node cannot run one of the programs,
// whose jobs would wait for ever.
func (n *Node) hasPrograms(ctx context.Context, programs []Program) error {
	for _, p := range programs {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, n.URL+"/api/v1/programs/"+p.Name, nil)
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", "Bearer "+n.token)
		req.Close = true
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		var found api.Program
		err = json.NewDecoder(resp.Body).Decode(&found)
		resp.Body.Close()
		if err != nil || len(found.Nodes) == 0 {
			return fmt.Errorf("the node cannot use the program %s: %s", p.Name, n.life.log.String())
		}
		if problem := found.Nodes[0].Problem; problem != "" {
			return fmt.Errorf("the node cannot start the program %s: %s", p.Name, problem)
		}
	}
	return nil
}

// freeAddr returns an address of the loopback interface that is free now.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
