package program

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/runnerbean/runnerbean/internal/logtext"
	"github.com/runnerbean/runnerbean/worker/internal/fault"
	"github.com/runnerbean/runnerbean/worker/internal/fingerprint"
)

// startCase is a program and its problem, empty for a good program. $D stands for a
// folder of the test.
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

// startProblem returns the problem of a program with a text.
func startProblem(t *testing.T, text string) (problem, path string) {
	t.Helper()
	tr := newTree(t)
	tr.file("p", 0o755, text)
	list, err := Inspect(tr.dir)
	tr.must(err)
	tr.must(list[0].Err)
	return list[0].Program.Problem, tr.path("p")
}

// starts starts a program and returns the error of the kernel or of env.
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

// TestStartProblems checks that a program has a problem if and only if the kernel does
// not start it.
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

// TestExecutables changes an executable of this machine into one of another machine or
// kind.
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

// FuzzStartCheck reads arbitrary files.
func FuzzStartCheck(f *testing.F) {
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
		s := startCheck{path: defaultPath, seen: map[string]fingerprint.File{}}
		if problem := s.problem(file, 0); len(logtext.Clean(problem, fault.MaxMessage)) > fault.MaxMessage || len(s.seen) > 100 {
			t.Errorf("%d files were looked at: %q", len(s.seen), problem)
		}
	})
}
