// Package stracetest shows tests which system calls a program makes and in which
// order. Nothing else tells whether a file was synced before it was answered
// for: what a process has written is there for all others to read, synced or not.
package stracetest

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Call is one system call that has come back. A call that began while another
// was under way has a Begin between the Begin and End of that one.
type Call struct {
	Name   string
	Args   string // as strace prints them, descriptors with their paths
	Result string
	Begin  int // its place in the order of all beginnings and ends
	End    int
}

// On reports whether the call's first argument is a descriptor of path.
func (c Call) On(path string) bool {
	_, after, ok := strings.Cut(c.Args, "<")
	return ok && strings.HasPrefix(after, path+">")
}

// OK reports whether the call did not fail.
func (c Call) OK() bool { return !strings.HasPrefix(c.Result, "-1 ") }

// Run runs a command, which has not been started and must succeed, and returns
// its calls of the given names in the order in which they ended. Threads and
// children are included.
func Run(t testing.TB, cmd *exec.Cmd, names ...string) []Call {
	t.Helper()
	path, err := exec.LookPath("strace")
	if err != nil {
		t.Fatalf("%v: install the package strace", err)
	}
	output := filepath.Join(t.TempDir(), "strace")
	cmd.Args = append([]string{path, "-f", "-y", "-s", "256", "-e", "signal=none", "-e", "trace=" + strings.Join(names, ","), "-o", output, cmd.Path}, cmd.Args[1:]...)
	cmd.Path = path
	if out, err := cmd.CombinedOutput(); err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("%v: %s", err, out)
		}
		t.Fatal(err)
	}
	text, err := os.ReadFile(output)
	if err != nil {
		t.Fatal(err)
	}
	return parse(string(text))
}

// Inject runs a command, which has not been started and must succeed, while
// calls on a file fail as strace's option -e inject says. It returns what the
// command printed, and reports whether a call was made to fail.
func Inject(t testing.TB, cmd *exec.Cmd, file, inject string) (printed string, hit bool) {
	t.Helper()
	path, err := exec.LookPath("strace")
	if err != nil {
		t.Fatalf("%v: install the package strace", err)
	}
	output := filepath.Join(t.TempDir(), "strace")
	names, _, _ := strings.Cut(inject, ":")
	cmd.Args = append([]string{path, "-f", "-qq", "-e", "signal=none", "-e", "trace=" + names, "-P", file, "-e", "inject=" + inject, "-o", output, cmd.Path}, cmd.Args[1:]...)
	cmd.Path = path
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	text, err := os.ReadFile(output)
	if err != nil {
		t.Fatal(err)
	}
	return string(out), strings.Contains(string(text), "(INJECTED)")
}

var (
	whole   = regexp.MustCompile(`^(\d+) +(\w+)\((.*)\) += (.+)$`)
	begun   = regexp.MustCompile(`^(\d+) +(\w+)\((.*) <unfinished \.\.\.>$`)
	resumed = regexp.MustCompile(`^(\d+) +<\.\.\. (\w+) resumed>(.*)\) += (.+)$`)
)

// parse reads what strace -f -o writes: a line for each call, or two where a call
// of another thread came between.
func parse(text string) (calls []Call) {
	open := map[string]Call{}
	for i, line := range strings.Split(text, "\n") {
		if m := whole.FindStringSubmatch(line); m != nil {
			calls = append(calls, Call{Name: m[2], Args: m[3], Result: m[4], Begin: i, End: i})
		} else if m := begun.FindStringSubmatch(line); m != nil {
			open[m[1]] = Call{Name: m[2], Args: m[3], Begin: i}
		} else if m := resumed.FindStringSubmatch(line); m != nil && open[m[1]].Name == m[2] {
			c := open[m[1]]
			c.Args, c.Result, c.End = c.Args+m[3], m[4], i
			calls = append(calls, c)
			delete(open, m[1])
		}
	}
	return calls
}
