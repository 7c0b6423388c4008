package process

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/runnerbean/runnerbean/worker/internal/process/cgroup"
)

func init() {
	programs["keeper"] = func(args []string) { // a node that runs a program with a daemon
		if err := cgroup.Adopt(args[0]); err != nil {
			panic(err)
		}
		exe, _ := os.Executable()
		spec := Spec{Path: exe, Args: []string{"daemon", "hang"}, Env: childEnv("parent")}
		spec.Event = func(line []byte) { fmt.Println(cgroup.Probe().Cgroup, string(line)) }
		_, err := Run(context.Background(), spec)
		panic(err)
	}
}

// keeper starts a node, and returns the folder of its cgroups and the daemon of
// its program.
func keeper(t *testing.T, name string) (cmd *exec.Cmd, dir string, daemon int) {
	t.Helper()
	return keeperOf(t, "keeper", name)
}

func keeperOf(t *testing.T, program, name string) (cmd *exec.Cmd, dir string, daemon int) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd = exec.CommandContext(t.Context(), exe, name)
	cmd.Env = childEnv(program)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscan(line, &dir, &daemon); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	return cmd, dir, daemon
}

// Adopt kills what a dead node left in cgroups, and leaves the programs of
// living nodes alone.
func TestAdoptClearsUp(t *testing.T) {
	needCgroup(t)
	living, livingDir, spared := keeper(t, t.Name()+" living")
	dead, deadDir, left := keeper(t, t.Name()+" dead")
	if err := dead.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = dead.Wait()
	if err := cgroup.Adopt(t.Name()); err != nil {
		t.Error(err)
	}
	if alive(left) {
		t.Error("the daemon of the dead node is alive")
	}
	if _, err := os.Stat(deadDir); !os.IsNotExist(err) {
		t.Errorf("its cgroup: %v", err)
	}
	if _, err := os.Stat(livingDir); err != nil || !alive(spared) {
		t.Errorf("the living node lost its program, %v", err)
	}
	_ = living.Process.Kill()
	_ = living.Wait()
	if err := cgroup.Adopt(t.Name()); err != nil || alive(spared) {
		t.Errorf("the second daemon is alive, %v", err)
	}
}

// cgroupIn returns the version 2 entry of a /proc/<pid>/cgroup.
func cgroupIn(data []byte) string {
	_, rest, _ := bytes.Cut(data, []byte("0::"))
	path, _, _ := bytes.Cut(rest, []byte("\n"))
	return string(path)
}

// cgroups returns the folders of the cgroups for programs.
func cgroups(t *testing.T) []string {
	t.Helper()
	procs, err := filepath.Glob(filepath.Join(cgroup.Probe().Cgroup, "*", "cgroup.procs"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range procs {
		procs[i] = filepath.Dir(procs[i])
	}
	return procs
}

// inCgroup runs a program and reports whether it ran in a cgroup.
func inCgroup(t *testing.T) bool {
	t.Helper()
	exit := mustRun(t, Spec{Path: "/bin/cat", Args: []string{"/proc/self/cgroup"}})
	return strings.Contains(cgroupIn(exit.Stdout), filepath.Base(cgroup.Probe().Cgroup)+"/")
}

// A program runs without its cgroup if that is gone, and the cgroup is not used
// again. No other test may run at the same time.
func TestCgroupGone(t *testing.T) {
	needCgroup(t)
	if !inCgroup(t) {
		t.Error("the first program runs in no cgroup")
	}
	gone := cgroups(t)
	for _, dir := range gone {
		if err := unix.Rmdir(dir); err != nil {
			t.Fatal(err)
		}
	}
	for range gone {
		if inCgroup(t) {
			t.Error("a program runs in a cgroup that is gone")
		}
	}
	if !inCgroup(t) {
		t.Error("the last program runs in no cgroup")
	}
}

// A program that cannot be started does not use up its cgroup. No other test
// may run at the same time.
func TestCgroupOfNothing(t *testing.T) {
	needCgroup(t)
	mustRun(t, Spec{Path: "/bin/true"})
	before := cgroups(t)
	if _, err := Run(t.Context(), Spec{Path: "/nothing"}); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	mustRun(t, Spec{Path: "/bin/true"})
	if after := cgroups(t); !slices.Equal(after, before) {
		t.Errorf("the cgroups are %v, before %v", after, before)
	}
}
