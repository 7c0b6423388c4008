package main

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coreos/go-systemd/v22/unit"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
)

// stranger is the id of a user without files.
const stranger = 61_234

// unitOf reads an example unit, and moves its paths below root.
func unitOf(t *testing.T, name, root string) (text string, options map[string][]string) {
	t.Helper()
	data, err := os.ReadFile("../../examples/systemd/" + name)
	if err != nil {
		t.Fatal(err)
	}
	text = strings.NewReplacer("/usr/local/lib", root+"/usr/local/lib", "/etc/runnerbean", root+"/etc/runnerbean", "/var/lib", root+"/var/lib").Replace(string(data))
	list, err := unit.DeserializeOptions(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	options = map[string][]string{}
	for _, o := range list {
		options[o.Name] = append(options[o.Name], o.Value)
	}
	return text, options
}

// cleanRoot makes a folder that other users may enter.
func cleanRoot(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	if err := os.Chmod(filepath.Dir(root), 0o755); err != nil {
		t.Fatal(err)
	}
	return root
}

// TestUnitsAreVerified checks the example units with systemd-analyze.
func TestUnitsAreVerified(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("systemd-analyze is not installed")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	var paths []string
	for _, name := range []string{settings.ServiceName, "runnerbean-beanstalkd.service"} {
		text, _ := unitOf(t, name, "")
		path := filepath.Join(folder, name)
		paths = append(paths, path)
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "/usr/local/bin/runnerbean", self)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.CommandContext(t.Context(), "systemd-analyze", append([]string{"verify", "--man=no"}, paths...)...).CombinedOutput()
	if err != nil || bytes.Contains(out, []byte(folder)) {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestServiceStarts runs the commands of the unit as its user, in the folders that systemd
// would make.
func TestServiceStarts(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root may become another user")
	}
	root := cleanRoot(t)
	_, options := unitOf(t, settings.ServiceName, root)
	for _, line := range options["ExecStartPre"] {
		line, privileged := strings.CutPrefix(line, "+")
		if !privileged {
			t.Errorf("%s cannot write where the node may only read", line)
		}
		fields := strings.Fields(line)
		if out, err := exec.CommandContext(t.Context(), fields[0], fields[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", line, err, out)
		}
	}
	state := filepath.Join(root, "var/lib", options["StateDirectory"][0])
	if err := os.MkdirAll(state, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(state, 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(state, stranger, stranger); err != nil {
		t.Fatal(err)
	}
	server, listen := queuetest.Start(t), freePort(t)
	env := []string{
		asRunnerbean + "=1", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", "STATE_DIRECTORY=" + state,
		"RUNNERBEAN_BEANSTALKD=" + server.Addr, "RUNNERBEAN_LISTEN=" + listen,
	}
	for _, line := range options["Environment"] {
		env = append(env, settings.SplitWords(line)...)
	}
	fields := strings.Fields(options["ExecStart"][0])
	var log lockedBuffer
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", fields[1:]...)
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = env, "/", &log, &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: stranger, Gid: stranger}, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() { <-ended })
	deadline := time.After(patience)
	for {
		if answer, err := http.Get("http://" + listen + "/readyz"); err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				break
			}
		}
		select {
		case <-ended:
			t.Fatalf("the node has ended: %s", log.String())
		case <-deadline:
			t.Fatalf("the node is not ready: %s", log.String())
		case <-time.After(20 * time.Millisecond):
		}
	}
	if _, err := os.Stat(filepath.Join(state, "ledger.db")); err != nil {
		t.Error(err)
	}
}
