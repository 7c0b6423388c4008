package main

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
	"github.com/runnerbean/runnerbean/jobs"
)

// spy prints what a program can reach of the node that started it.
const spy = `opens() { cat "$1" >/dev/null 2>&1 && echo true || echo false; }
cat >/dev/null
fds=$(ls -m /proc/self/fd)
setsid sleep 1000 </dev/null >/dev/null 2>&1 3>&1 &
cat <<END
{"environ":$(opens /proc/$PPID/environ),"mem":$(test -r /proc/$PPID/mem && echo true || echo false),
"fd":$(ls /proc/$PPID/fd >/dev/null 2>&1 && echo true || echo false),"root":$(test "$(id -u)" = 0 && echo true || echo false),
"new_privs":$(grep NoNewPrivs /proc/self/status | tr -dc 0-9),"fds":"$fds","left":$!}
END`

// spied is what spy prints.
type spied struct {
	Environ, Mem, FD, Root bool
	NewPrivs               int `json:"new_privs"`
	FDs                    string
	Left                   int
}

// TestNodeIsClosedToItsPrograms checks that a program with the node's user can read
// neither the environment nor the memory of the node, inherits no descriptor and gains no
// rights, and that the node still finds the processes that programs leave.
func TestNodeIsClosedToItsPrograms(t *testing.T) {
	t.Parallel()
	p := newNode(t, queuetest.Start(t).Addr)
	if err := os.WriteFile(filepath.Join(p.folder, "programs", "spy"), []byte("#!/bin/sh\n"+spy+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	p.env = append(p.env, "RUNNERBEAN_TOKEN=", "SECRET=of the node")
	p.asOrdinaryUser()
	p.start("worker")
	result := p.final(p.submit("spy", "1"))
	if result.State != jobs.Succeeded {
		t.Fatalf("%+v", result)
	}
	var got spied
	if err := json.Unmarshal(result.Result, &got); err != nil {
		t.Fatal(err)
	}
	if got.Environ || got.Mem || got.FD || got.Root {
		t.Errorf("a program reaches into its node: %+v", got)
	}
	// The fourth descriptor belongs to ls.
	if got.NewPrivs != 1 || got.FDs != "0, 1, 2, 3, 4" {
		t.Errorf("no_new_privs is %d, descriptors are %s", got.NewPrivs, got.FDs)
	}
	if _, err := os.Stat("/proc/" + strconv.Itoa(got.Left)); err == nil {
		t.Errorf("process %d, which a program left, is there", got.Left)
	}
	answer, err := http.Get(p.url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(answer.Body)
	for _, name := range []string{"process_resident_memory_bytes", "process_open_fds", "process_cpu_seconds_total"} {
		if !strings.Contains(string(text), "\n"+name+" ") {
			t.Errorf("the node does not know its own %s", name)
		}
	}
}

// TestCommandsAreClosedToPrograms starts doctor, as the node's user and as root that
// becomes this user. A process of the same user must not read its environment. A
// beanstalkd that never answers keeps doctor running.
func TestCommandsAreClosedToPrograms(t *testing.T) {
	t.Parallel()
	for name, asRoot := range map[string]bool{"as the service's user": false, "as root": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if asRoot && os.Geteuid() != 0 {
				t.Skip("only root may become another user")
			}
			silent, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer silent.Close()
			p := newNode(t, silent.Addr().String())
			p.env = append(p.env, "RUNNERBEAN_TOKEN=a-token-that-is-long-enough")
			p.asOrdinaryUser()
			user := p.attr
			if asRoot {
				folder := t.TempDir()
				write(t, filepath.Join(folder, settings.ServiceName), "[Service]\nUser=nobody\nEnvironment=RUNNERBEAN_BEANSTALKD="+silent.Addr().String()+" RUNNERBEAN_DATA="+p.folder+"\n")
				p.env = append(withoutSettings(), asRunnerbean+"=1", "SECRET=of root", unitsIn+"="+folder)
				p.attr = nil
			}
			p.launch("doctor")
			conn, err := silent.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			proc := "/proc/" + strconv.Itoa(p.cmd.Process.Pid)
			status, err := os.ReadFile(proc + "/status")
			if err != nil || strings.Contains(string(status), "\nUid:\t0") {
				t.Errorf("it runs as root: %v\n%s", err, status)
			}
			for _, file := range []string{"environ", "maps"} {
				cat := exec.CommandContext(t.Context(), "cat", proc+"/"+file)
				cat.SysProcAttr = user
				if out, err := cat.CombinedOutput(); err == nil || !strings.Contains(string(out), "denied") {
					t.Errorf("%s can be read: %v %.200s", file, err, out)
				}
			}
		})
	}
}

// asOrdinaryUser makes the node run as nobody if the test runs as root.
func (p *process) asOrdinaryUser() {
	p.t.Helper()
	if os.Geteuid() != 0 {
		return
	}
	const nobody = 65534
	err := filepath.WalkDir(p.folder, func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(path, nobody, nobody))
	})
	if err := errors.Join(err, os.Chmod(filepath.Dir(p.folder), 0o755)); err != nil {
		p.t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		p.t.Fatal(err)
	}
	p.self = filepath.Join(p.folder, "runnerbean")
	binary, err := os.ReadFile(self)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(p.self, binary, 0o755); err != nil {
		p.t.Fatal(err)
	}
	p.attr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
}
