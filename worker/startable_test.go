package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/jobs"
)

// startCase is a program and why it cannot be started, empty for a good one. $D
// stands for a folder of the test.
type startCase struct {
	text, problem string
}

var startCases = map[string]startCase{
	"sh":             {"#!/bin/sh\necho 1\n", ""},
	"options":        {"#!/bin/sh -e\necho 1\n", ""},
	"spaces":         {"#! \t/bin/sh  \necho 1\n", ""},
	"one line":       {"#!/bin/true", ""},
	"env":            {"#!/usr/bin/env sh\necho 1\n", ""},
	"env -S":         {"#!/usr/bin/env -S sh -e\necho 1\n", ""},
	"env variable":   {"#!/usr/bin/env -S A=b sh\necho 1\n", ""},
	"env -S CR":      {"#!/usr/bin/env -S sh\r\necho 1\n", ""},
	"env path":       {"#!/usr/bin/env /bin/sh\necho 1\n", ""},
	"script":         {"#!$D/good\necho 1\n", ""},
	"no line":        {"echo 1\n", "it has no #! line; begin it with one such as #!/bin/sh or #!/usr/bin/env python3"},
	"empty":          {"", "it is empty"},
	"mark":           {"\xef\xbb\xbf#!/bin/sh\n", "a byte order mark stands before its #! line; save it as UTF-8 without one"},
	"second line":    {"\n#!/bin/sh\n", "its #! line is not at the very beginning"},
	"no interpreter": {"#! \necho 1\n", "its #! line names no interpreter"},
	"absent":         {"#!$D/venv/bin/python\n", "its interpreter $D/venv/bin/python does not exist"},
	"dangling":       {"#!$D/dangling\n", "its interpreter $D/dangling is a symbolic link to $D/python3.9, which does not exist"},
	"folder":         {"#!$D\n", "its interpreter $D is a folder"},
	"not executable": {"#!$D/text\n", "its interpreter $D/text is not executable (mode 0644; chmod +x)"},
	"relative":       {"#!python3\n", "its interpreter python3 is not an absolute path; write #!/usr/bin/env python3"},
	"CR":             {"#!/bin/sh\r\necho 1\r\n", "its #! line ends in a carriage return"},
	"CR in env":      {"#!/usr/bin/env sh\r\necho 1\r\n", "its #! line ends in a carriage return"},
	"env absent":     {"#!/usr/bin/env python3.99\n", "its interpreter python3.99 is not in the program's PATH (/usr/local/bin:/usr/bin:/bin)"},
	"env words":      {"#!/usr/bin/env sh -e\n", "env look for one program named sh -e; write #!/usr/bin/env -S sh -e"},
	"env nothing":    {"#!/usr/bin/env\n", "its #! line starts env without naming an interpreter"},
	"env -S absent":  {"#!/usr/bin/env -S A=b python3.99 -u\n", "its interpreter python3.99 is not in the program's PATH"},
	"env path gone":  {"#!/usr/bin/env $D/python\n", "its interpreter $D/python does not exist"},
	"long":           {"#!/" + strings.Repeat("x", 300) + "\n", "its #! line is longer than 255 bytes"},
	"bad script":     {"#!$D/bad\n", "its interpreter $D/bad cannot be started: its interpreter /no/such/shell does not exist"},
	"loop":           {"#!$D/loop\n", "its interpreters are scripts, too"},
	"Windows":        {"MZ\x90\x00\x03", "it is a program for Windows"},
	"garbage":        {"\x00\x01\x02\x03", "it is not in a format that this machine can run"},
	"torn":           {"\x7fELF\x02\x01\x01", "it is not a whole executable: it ends too early"},
}

// interpreters fills the folder that $D stands for.
func interpreters(t *testing.T) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"good": "#!/bin/sh\necho 1\n", "bad": "#!/no/such/shell\n", "loop": "#!" + dir + "/loop\n", "text": "x",
	} {
		mode := fs.FileMode(0o755)
		if name == "text" {
			mode = 0o644
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(dir+"/python3.9", dir+"/dangling"); err != nil {
		t.Fatal(err)
	}
	return dir
}

// startProblem is what is said of a program with that text.
func startProblem(t *testing.T, text string) (problem, path string) {
	t.Helper()
	tr := newTree(t)
	tr.file("p", 0o755, text)
	list, err := Inspect(tr.dir)
	tr.must(err)
	tr.must(list[0].Err)
	return list[0].Program.Problem, tr.path("p")
}

// starts asks the kernel, and env, whether a program can be started.
func starts(path string) error {
	cmd := exec.Command(path)
	cmd.Env = []string{"PATH=" + defaultPath}
	err := cmd.Run()
	for try := 0; errors.Is(err, unix.ETXTBSY) && try < 100; try++ {
		cmd = exec.Command(path)
		err = cmd.Run()
	}
	return err
}

// TestStartProblems holds that what is said before a program is started is what
// the kernel does then.
func TestStartProblems(t *testing.T) {
	t.Parallel()
	dir := interpreters(t)
	for name, c := range startCases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := strings.ReplaceAll(c.problem, "$D", dir)
			problem, path := startProblem(t, strings.ReplaceAll(c.text, "$D", dir))
			if (problem == "") != (want == "") || !strings.Contains(problem, want) {
				t.Errorf("problem is %q, want %q", problem, want)
			}
			if name == "env nothing" { // it starts itself for ever
				return
			}
			if err := starts(path); (err == nil) != (want == "") {
				t.Errorf("when started: %v", err)
			}
		})
	}
}

// TestExecutables changes an executable of this machine in ways in which others
// differ.
func TestExecutables(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("executables of Linux")
	}
	whole, err := os.ReadFile("/bin/true")
	if err != nil || !bytes.HasPrefix(whole, []byte("\x7fELF\x02\x01")) {
		t.Skipf("/bin/true is not a 64-bit executable: %v", err)
	}
	loader := regexpLoader(whole)
	for name, c := range map[string]struct {
		change  func([]byte) []byte
		problem string
	}{
		"whole":   {func(b []byte) []byte { return b }, ""},
		"machine": {func(b []byte) []byte { b[18], b[19] = 0x16, 0; return b }, "it is built for s390x, and this machine is " + runtime.GOARCH},
		"object":  {func(b []byte) []byte { b[16] = 1; return b }, "it is an object file or a core dump, not a program"},
		"cut":     {func(b []byte) []byte { return b[:100] }, "it is not a whole executable"},
		"loader": {func(b []byte) []byte {
			return bytes.Replace(b, loader, append([]byte("/xib"), loader[4:]...), 1)
		}, "its dynamic loader /xib"},
	} {
		problem, path := startProblem(t, string(c.change(bytes.Clone(whole))))
		if (problem == "") != (c.problem == "") || !strings.Contains(problem, c.problem) {
			t.Errorf("%s: problem is %q, want %q", name, problem, c.problem)
		}
		if err := starts(path); (err == nil) != (c.problem == "") {
			t.Errorf("%s: when started: %v", name, err)
		}
	}
}

// regexpLoader finds the name of the dynamic loader in an executable.
func regexpLoader(whole []byte) []byte {
	head, err := readELF(bytes.NewReader(whole))
	if err != nil || len(head.loader) < 4 {
		return []byte("/lib")
	}
	return []byte(head.loader)
}

// FuzzStarter reads what may stand in the programs folder.
func FuzzStarter(f *testing.F) {
	for _, c := range startCases {
		f.Add([]byte(c.text))
	}
	if whole, err := os.ReadFile("/bin/true"); err == nil {
		f.Add(whole[:min(len(whole), 4096)])
	}
	path := filepath.Join(f.TempDir(), "p")
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(path, text, 0o700); err != nil {
			t.Fatal(err)
		}
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		s := starter{path: defaultPath, seen: map[string]mark{}}
		if problem := s.problem(file, 0); len(clean(problem, maxMessage)) > maxMessage || len(s.seen) > 100 {
			t.Errorf("%d files were looked at: %q", len(s.seen), problem)
		}
	})
}

func TestBinfmt(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("formats of Linux")
	}
	const format = "enabled\ninterpreter /usr/bin/qemu-aarch64\nflags: OC\noffset 0\nmagic 7f454c460201\nmask ffffffffff00\n"
	head := []byte("\x7fELF\x02\x07rest")
	for text, want := range map[string]bool{
		format: true, strings.Replace(format, "enabled", "disabled", 1): false,
		strings.Replace(format, "offset 0", "offset 9", 1): false, "enabled\nextension .py\n": false, "": false,
	} {
		if got := binfmtMatches(text, head); got != want {
			t.Errorf("%q: %t", text, got)
		}
	}
}

// TestUnstartable runs jobs whose programs cannot be started beside good ones:
// each of those fails at once and says why, and no slot stops for it.
func TestUnstartable(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *Config) { c.onPause = func() { t.Error("a slot has stopped taking work") } })
	dir := interpreters(t)
	broken := []string{"no line", "absent", "garbage", "CR", "env absent", "bad script"}
	for i, name := range broken {
		text := strings.ReplaceAll(startCases[name].text, "$D", dir)
		r.must(os.WriteFile(filepath.Join(r.cfg.Programs, fmt.Sprint("bad", i)), []byte(text), 0o755))
	}
	r.install("good", "echo 1")
	r.must(os.MkdirAll(filepath.Join(r.cfg.Programs, "closed"), 0o755))
	r.must(os.WriteFile(filepath.Join(r.cfg.Programs, "closed", "run"), []byte("#!/bin/sh\n"), 0o644))
	var bad, good []string
	for i := range broken {
		bad = append(bad, r.submit(job(fmt.Sprint("bad", i))))
		good = append(good, r.submit(job("good")))
	}
	closed := r.submit(job("closed"))
	r.start()
	for _, id := range good {
		r.await(id, jobs.Succeeded)
	}
	for i, id := range append(bad, closed) {
		want := "program closed cannot be started: it is not executable"
		if i < len(broken) {
			want = fmt.Sprintf("program bad%d cannot be started: %s", i, strings.ReplaceAll(startCases[broken[i]].problem, "$D", dir))
		}
		record := r.await(id, jobs.Failed)
		if e := record.Error; e.Class != jobs.OutcomeError || !strings.Contains(e.Message, want) || record.Attempt != 1 {
			t.Errorf("attempt %d: %+v, want %q", record.Attempt, e, want)
		}
		if r.hasEvent(id, "trouble") {
			t.Error("its fault was booked to the node")
		}
	}
}

// TestInterpreterAppears installs what a program lacks while the node runs, and
// takes it away between two looks.
func TestInterpreterAppears(t *testing.T) {
	t.Parallel()
	announced := make(chan []ledger.Program, 100)
	r := newRig(t, func(c *Config) { c.OnPrograms = func(list []ledger.Program) { announced <- list } })
	python := filepath.Join(t.TempDir(), "python")
	r.must(os.WriteFile(filepath.Join(r.cfg.Programs, "p"), []byte("#!"+python+"\necho 1\n"), 0o755))
	n := r.start()
	if list := n.Programs(); len(list) != 1 || list[0].Problem != "its interpreter "+python+" does not exist" {
		t.Fatalf("announced %+v", list)
	}
	id := r.submit(job("p"))
	r.await(id, jobs.Failed)
	r.must(os.Symlink("/bin/sh", python))
	if list := receive(t, announced); len(list) != 1 || list[0].Problem != "" {
		t.Errorf("announced %+v", list)
	}
	r.act(ledger.VerbRetry, id)
	r.put(jobs.Job{ID: id, Program: "p"})
	r.await(id, jobs.Succeeded)
	r.must(os.Remove(python))
	if list := receive(t, announced); len(list) != 1 || list[0].Problem == "" {
		t.Errorf("announced %+v", list)
	}
}

// TestStartFault is a program that the node takes for good until it starts it.
func TestStartFault(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *Config) { c.onPause = func() { t.Error("a slot has stopped taking work") } })
	r.install("p", "echo 1")
	w, err := New(r.cfg)
	r.must(err)
	a := &attempt{Worker: w, lane: &lane{Worker: w}, program: w.programs.current().programs["p"]}
	a.record.Program, a.dir, a.killed = "p", t.TempDir(), t.Context()
	pathError := func(err error) error {
		return fmt.Errorf("process: start: %w", &fs.PathError{Op: "exec", Path: a.program.path, Err: err})
	}
	for _, c := range []struct {
		err         error
		node, final bool
		message     string
	}{
		{pathError(unix.ENOEXEC), false, true, "program p cannot be started: it is not in a format that this machine can run"},
		{pathError(unix.ENOENT), false, false, "program p cannot be started: no such file or directory"},
		{pathError(unix.EACCES), false, false, "program p cannot be started: permission denied"},
		{pathError(unix.ETXTBSY), false, false, "somebody is writing to it"},
		{pathError(unix.E2BIG), false, false, "its environment is too large"},
		{pathError(unix.ENOMEM), true, false, "cannot allocate memory"},
		{pathError(unix.EAGAIN), true, false, "resource temporarily unavailable"},
		{pathError(unix.EMFILE), true, false, "too many open files"},
		{fmt.Errorf("pipe: %w", unix.EMFILE), true, false, "too many open files"},
	} {
		var f *fault
		if errors.As(a.notStarted(t.Context(), c.err), &f); f.node != c.node || f.final != c.final || !strings.Contains(f.message, c.message) {
			t.Errorf("%v: %+v", c.err, f)
		}
	}
	a.dir = filepath.Join(a.dir, "gone")
	var f *fault
	if errors.As(a.notStarted(t.Context(), pathError(unix.ENOENT)), &f); !f.node {
		t.Errorf("a working directory that is gone: %+v", f)
	}
}

// TestLeftToOthers has two nodes, of which one has a broken copy of a program:
// the other runs all of its jobs.
func TestLeftToOthers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.install("p", "echo 1")
	first, err := New(r.cfg)
	r.must(err)
	broken := r.cfg
	broken.Node, broken.Instance = "n2", jobs.NewID()
	broken.Programs, broken.Scratch = filepath.Join(r.dir, "programs2"), filepath.Join(r.dir, "scratch2")
	r.must(os.Mkdir(broken.Programs, 0o755))
	r.must(os.Mkdir(broken.Scratch, 0o755))
	r.must(os.WriteFile(filepath.Join(broken.Programs, "p"), []byte("#!/no/such/shell\n"), 0o755))
	second, err := New(broken)
	r.must(err)
	for _, w := range []*Worker{first, second} {
		r.must(r.ledger.Register(context.Background(), ledger.Node{
			Name: w.cfg.Node, Instance: w.cfg.Instance, Home: w.cfg.Programs, Slots: 2, Programs: w.Programs(),
		}))
	}
	var ids []string
	for range 20 {
		ids = append(ids, r.submit(job("p")))
	}
	r.run(second)
	r.until("the node with the broken copy leaves the jobs to the other", func() bool { return len(second.programs.current().tubes) == 0 })
	r.run(first)
	for _, id := range ids {
		if record := r.await(id, jobs.Succeeded); record.Node != r.cfg.Node || record.Attempt != 1 {
			t.Errorf("attempt %d on %s", record.Attempt, record.Node)
		}
	}
}

// announceElsewhere has another node announce a good copy of a program.
func (r *rig) announceElsewhere(program string) {
	r.t.Helper()
	r.must(r.ledger.Register(r.t.Context(), ledger.Node{
		Name: "n2", Instance: jobs.NewID(), Home: r.t.TempDir(), Slots: 1,
		Programs: []ledger.Program{{Name: program, SHA256: otherDigest}},
	}))
}

// TestProgramThatOnlyTheKernelRefuses is announced as good by every node, so
// that its job is left to none.
func TestProgramThatOnlyTheKernelRefuses(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("executables of Linux")
	}
	binary, err := os.ReadFile("/bin/true")
	if err != nil || !bytes.HasPrefix(binary, []byte("\x7fELF\x02\x01")) {
		t.Skipf("/bin/true is not a 64-bit executable: %v", err)
	}
	binary[56], binary[57] = 0, 0 // the number of program headers
	r := newRig(t)
	r.must(os.WriteFile(filepath.Join(r.cfg.Programs, "p"), binary, 0o755))
	r.announceElsewhere("p")
	n := r.start()
	if list := n.Programs(); len(list) != 1 || list[0].Problem != "" {
		t.Fatalf("announced %+v", list)
	}
	record := r.await(r.submit(job("p")), jobs.Failed)
	if want := "program p cannot be started: it is not in a format"; record.Attempt != 1 || !strings.Contains(record.Error.Message, want) {
		t.Errorf("attempt %d: %+v, want %q", record.Attempt, record.Error, want)
	}
}

// TestInterpreterVanishesMeanwhile takes an interpreter away while the input of a
// job is fetched: the job fails only where no other node has a good copy.
func TestInterpreterVanishesMeanwhile(t *testing.T) {
	t.Parallel()
	for name, elsewhere := range map[string]bool{"here alone": false, "good elsewhere": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked, answer := make(chan struct{}, 10), make(chan struct{})
			url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				asked <- struct{}{}
				<-answer
				fmt.Fprint(w, "1")
			})
			r := newRig(t, func(c *Config) { c.scanEvery = time.Hour }) // the attempt finds out
			python := filepath.Join(r.dir, "python")
			r.must(os.Symlink("/bin/sh", python))
			r.must(os.WriteFile(filepath.Join(r.cfg.Programs, "p"), []byte("#!"+python+"\necho 1\n"), 0o755))
			r.start()
			j := job("p")
			j.Input = jobs.Input{URL: url}
			id := r.submit(j)
			receive(t, asked)
			r.must(os.Remove(python))
			if elsewhere {
				r.announceElsewhere("p")
			}
			close(answer)
			want := "program p cannot be started: its interpreter " + python + " does not exist"
			if !elsewhere {
				if e := r.await(id, jobs.Failed).Error; !strings.Contains(e.Message, want) {
					t.Errorf("%+v", e)
				}
				return
			}
			want += "; it is left to nodes that have a good copy"
			if record := r.await(id, jobs.Queued); !strings.Contains(record.Reason, want) || record.Spent != 0 || r.hasEvent(id, "trouble") {
				t.Errorf("%d attempts spent, reason %q", record.Spent, record.Reason)
			}
		})
	}
}
