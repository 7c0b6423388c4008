package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
	"github.com/runnerbean/runnerbean/jobs"
)

// installExample installs the stream program in a folder of examples under a name. A Go
// program is built.
func (p *process) installExample(name, example string) {
	p.t.Helper()
	source, folder := filepath.Join("../../examples", example), filepath.Join(p.setting("PROGRAMS"), name)
	if err := os.Mkdir(folder, 0o755); err != nil {
		p.t.Fatal(err)
	}
	manifest, err := os.ReadFile(filepath.Join(source, "program.json"))
	if err != nil {
		p.t.Fatal(err)
	}
	write(p.t, filepath.Join(folder, "program.json"), string(manifest))
	run, err := os.ReadFile(filepath.Join(source, "run"))
	if err == nil {
		write(p.t, filepath.Join(folder, "run"), string(run))
		return
	}
	if out, err := exec.CommandContext(p.t.Context(), "go", "build", "-o", filepath.Join(folder, "run"), "./"+source).CombinedOutput(); err != nil {
		p.t.Fatalf("%v\n%s", err, out)
	}
}

// warm returns the processes of a program, as the API shows them.
func (p *process) warm(program string) (list []api.WarmProcess) {
	p.t.Helper()
	var n api.Node
	p.api("/api/v1/nodes/n1", &n)
	if n.Vitals == nil {
		return nil
	}
	for _, w := range n.Vitals.Warm {
		if w.Program == program {
			list = append(list, w)
		}
	}
	return list
}

// TestStreamExamples runs both examples under a node. Their processes stay, the API, pages
// and "runnerbean nodes" show them, and a fresh one takes the place of one that is killed.
func TestStreamExamples(t *testing.T) {
	t.Parallel()
	p := newNode(t, queuetest.Start(t).Addr)
	p.env = append(p.env, "RUNNERBEAN_SLOTS=1")
	p.installExample("factors", "stream-python")
	p.installExample("stations", "stream-go")
	p.start("worker")
	factor := func() {
		t.Helper()
		r := p.final(p.submit("factors", `{"numbers":[360]}`))
		if r.State != jobs.Succeeded || !strings.Contains(string(r.Result), "5") {
			t.Fatalf("%s, %+v: %s", r.State, r.Error, r.Result)
		}
		if log := p.text("/" + r.ID + "/log"); log != "factored 1 numbers\n" {
			t.Errorf("the log is %q", log)
		}
	}
	factor()
	factor()
	var old api.WarmProcess
	p.until("the API shows the process", func() bool {
		list := p.warm("factors")
		if len(list) == 1 {
			old = list[0]
		}
		return len(list) == 1 && old.Jobs == 2 && old.Job == ""
	})
	if page := p.text("/programs/factors"); !strings.Contains(page, "Warm processes") || !strings.Contains(page, "waits for a job") {
		t.Error("the page of the program does not show its process")
	}
	if page := p.text("/nodes/n1"); !strings.Contains(page, "Warm processes") {
		t.Error("the page of the node does not show the process")
	}
	if out := p.must("nodes"); !strings.Contains(out, "factors (1 warm)") {
		t.Errorf("nodes does not count it:\n%s", out)
	}
	if err := syscall.Kill(old.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	factor()
	p.until("a fresh process has taken its place", func() bool {
		list := p.warm("factors")
		return len(list) == 1 && list[0].PID != old.PID && list[0].Jobs == 1
	})
	for range 2 {
		if r := p.final(p.submit("stations", `{"latitude":51.5,"longitude":0}`)); r.State != jobs.Succeeded {
			t.Errorf("%s, %+v", r.State, r.Error)
		}
	}
}
