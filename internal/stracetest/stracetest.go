// Package stracetest shows tests which system calls a program makes, and in
// which order. Only the calls show whether a file was synced before an answer:
// other processes can read data that is written but not synced.
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

// Call is one system call that has returned. A call can begin while another one
// is under way: its Begin is then between Begin and End of the other.
type Call struct {
	Thread string // its id
	Name   string
	Args   string // as printed by strace: descriptors with their paths
	Result string
	Begin  int // position among all beginnings and ends
	End    int
}

// On reports whether the call's first argument is a descriptor of path.
func (c Call) On(path string) bool {
	_, after, ok := strings.Cut(c.Args, "<")
	return ok && strings.HasPrefix(after, path+">")
}

// OK reports whether the call succeeded.
func (c Call) OK() bool { return !strings.HasPrefix(c.Result, "-1 ") }

// Run runs a command that must succeed, and returns its calls of the given
// names in the order in which they ended. It includes threads and children. The
// command must not have been started.
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

// Inject runs a command that must succeed, while calls on a file fail as
// described by inject, in the syntax of strace -e inject. It returns the output
// of the command, and reports whether a call failed. The command must not have
// been started.
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

// parse parses the output of strace -f -o: a line for each call, or two lines
// if a call of another thread came in between.
func parse(text string) (calls []Call) {
	open := map[string]Call{}
	for i, line := range strings.Split(text, "\n") {
		if m := whole.FindStringSubmatch(line); m != nil {
			calls = append(calls, Call{Thread: m[1], Name: m[2], Args: m[3], Result: m[4], Begin: i, End: i})
		} else if m := begun.FindStringSubmatch(line); m != nil {
			open[m[1]] = Call{Thread: m[1], Name: m[2], Args: m[3], Begin: i}
		} else if m := resumed.FindStringSubmatch(line); m != nil && open[m[1]].Name == m[2] {
			c := open[m[1]]
			c.Args, c.Result, c.End = c.Args+m[3], m[4], i
			calls = append(calls, c)
			delete(open, m[1])
		}
	}
	return calls
}
