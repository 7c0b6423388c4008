package process

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func init() {
	programs["keeper"] = func(args []string) { // a node that keeps a program with a stranger
		if err := Adopt(args[0]); err != nil {
			panic(err)
		}
		exe, _ := os.Executable()
		spec := Spec{Path: exe, Args: []string{"stranger", "hang"}, Env: childEnv("parent")}
		spec.Event = func(line []byte) { fmt.Println(Probe().Cgroup, string(line)) }
		_, err := Run(context.Background(), spec)
		panic(err)
	}
}

// keeper starts a node that runs under cgroups, and tells which and what
// stranger is in one.
func keeper(t *testing.T, name string) (cmd *exec.Cmd, dir string, stranger int) {
	t.Helper()
	return keeperOf(t, "keeper", name)
}

func keeperOf(t *testing.T, program, name string) (cmd *exec.Cmd, dir string, stranger int) {
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
	if _, err := fmt.Sscan(line, &dir, &stranger); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	return cmd, dir, stranger
}

// What a dead node left in cgroups is killed at the next start of any; what
// belongs to the living is left alone.
func TestAdoptClearsUp(t *testing.T) {
	needCgroup(t)
	living, livingDir, spared := keeper(t, t.Name()+" living")
	dead, deadDir, left := keeper(t, t.Name()+" dead")
	if err := dead.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = dead.Wait()
	if err := Adopt(t.Name()); err != nil {
		t.Error(err)
	}
	if alive(left) {
		t.Error("the stranger of the dead node is alive")
	}
	if _, err := os.Stat(deadDir); !os.IsNotExist(err) {
		t.Errorf("its cgroup: %v", err)
	}
	if _, err := os.Stat(livingDir); err != nil || !alive(spared) {
		t.Errorf("the living node lost its program, %v", err)
	}
	_ = living.Process.Kill()
	_ = living.Wait()
	if err := Adopt(t.Name()); err != nil || alive(spared) {
		t.Errorf("the second stranger is alive, %v", err)
	}
}

// Where a cgroup is gone, a program runs without, and the next one has a new one.
// Nothing else may run here.
func TestCgroupGone(t *testing.T) {
	needCgroup(t)
	h := adoption.home.Load()
	run(t, Spec{Path: "/bin/true"})
	n := len(h.spare)
	gone := h.spare[n-1]
	if err := unix.Rmdir(gone.dir); err != nil {
		t.Fatal(err)
	}
	where := Spec{Path: "/bin/cat", Args: []string{"/proc/self/cgroup"}}
	if at := cgroupPath(run(t, where).Stdout); strings.HasPrefix(at, h.path) {
		t.Errorf("it ran in %s", at)
	}
	if slices.Contains(h.spare, gone) {
		t.Error("it is kept")
	}
	h.mu.Lock()
	rest := h.spare
	h.spare = nil
	h.mu.Unlock()
	if at := cgroupPath(run(t, where).Stdout); !strings.HasPrefix(at, h.path+"/") {
		t.Errorf("the next ran in %s", at)
	}
	for _, c := range rest {
		c.give()
	}
}

// A program that cannot be started leaves its cgroup as it was. Nothing else may
// run here.
func TestCgroupOfNothing(t *testing.T) {
	needCgroup(t)
	h := adoption.home.Load()
	run(t, Spec{Path: "/bin/true"})
	before := len(h.spare)
	if _, err := Run(t.Context(), Spec{Path: "/nothing"}); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if len(h.spare) != before {
		t.Errorf("%d are spare, before %d", len(h.spare), before)
	}
}

func TestFindPlace(t *testing.T) {
	t.Parallel()
	const v1 = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n36 31 0:33 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
	mount := func(root, dir string) string {
		return v1 + "41 31 0:38 " + root + " " + dir + " rw,nosuid shared:9 - cgroup2 cgroup2 rw\n"
	}
	cases := map[string]struct {
		cgroups, mounts string
		want            place
	}{
		"pure":            {"0::/a/b\n", mount("/", "/sys/fs/cgroup"), place{"/sys/fs/cgroup/a/b", "/a/b"}},
		"mixed":           {"4:memory:/x\n0::/\n", mount("/", "/sys/fs/cgroup/unified"), place{"/sys/fs/cgroup/unified", "/"}},
		"a part":          {"0::/a/b/c\n", mount("/a/b", "/cg"), place{"/cg/c", "/a/b/c"}},
		"exactly a part":  {"0::/a/b\n", mount("/a/b", "/cg"), place{"/cg", "/a/b"}},
		"another part":    {"0::/a/bc\n", mount("/a/b", "/cg"), place{}},
		"a space":         {"0::/a b\n", mount("/", `/c\040g`), place{"/c g/a b", "/a b"}},
		"not mounted":     {"0::/a\n", v1, place{}},
		"version 1 only":  {"4:memory:/x\n", mount("/", "/cg"), place{}},
		"out of our view": {"0::/../x\n", mount("/", "/cg"), place{}},
		"nothing":         {"", "", place{}},
	}
	for name, c := range cases {
		got, err := findPlace([]byte(c.cgroups), []byte(c.mounts))
		if got != c.want || (err == nil) != (c.want != place{}) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func FuzzFindPlace(f *testing.F) {
	f.Add("0::/a\n", "41 31 0:38 / /cg rw - cgroup2 cgroup2 rw\n")
	f.Add("0::/../a", `1 2 3 /a /c\040g rw - cgroup2 x`)
	f.Fuzz(func(t *testing.T, cgroups, mounts string) {
		p, err := findPlace([]byte(cgroups), []byte(mounts))
		if err == nil && (p.path == "" || p.dir == "") {
			t.Errorf("%+v", p)
		}
		_ = parseNumber([]byte(mounts), "0::/a")
	})
}

// fakeCgroup is a folder with some of a cgroup's files.
func fakeCgroup(t *testing.T, dir string, files map[string]string) place {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return place{dir: dir, path: "/x/" + filepath.Base(dir)}
}

// Controllers are handed down only in what systemd gave away, and only where
// nobody else is in it.
func TestPlan(t *testing.T) {
	t.Parallel()
	controllers := map[string]string{"cgroup.controllers": "cpu memory pids\n", "cgroup.subtree_control": "cpu pids\n"}
	with := func(procs string) map[string]string {
		files := map[string]string{"cgroup.procs": procs}
		for k, v := range controllers {
			files[k] = v
		}
		return files
	}
	cases := map[string]struct {
		delegated, parent bool
		procs             string
		want              plan // its base is told by atParent
		atParent          bool
	}{
		"not delegated":      {procs: "7\n"},
		"alone":              {delegated: true, procs: "7\n", want: plan{controllers: []string{"memory"}, move: true}},
		"not alone":          {delegated: true, procs: "7\n8\n"},
		"in a leaf":          {parent: true, procs: "7\n", want: plan{controllers: []string{"memory"}}, atParent: true},
		"both are delegated": {parent: true, delegated: true, procs: "7\n", want: plan{controllers: []string{"memory"}}, atParent: true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			parent := fakeCgroup(t, t.TempDir(), controllers)
			parent.path = "/x"
			own := fakeCgroup(t, filepath.Join(parent.dir, "own"), with(c.procs))
			for p, on := range map[place]bool{parent: c.parent, own: c.delegated} {
				if err := unix.Setxattr(p.dir, "user.delegate", []byte{'0', '1'}[b2i(on):][:1], 0); err != nil {
					t.Skipf("the file system has no attributes: %v", err)
				}
			}
			c.want.base = own
			if c.atParent {
				c.want.base = parent
			}
			got := planAt(own, 7)
			if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(plan{}, place{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// What the kernel's files look like where it has the controllers is known, and
// no machine that has none can show it.
func TestCageControllers(t *testing.T) {
	t.Parallel()
	p := fakeCgroup(t, t.TempDir(), map[string]string{
		"cgroup.kill": "", "cgroup.events": "populated 0\nfrozen 0\n", "cpu.stat": "usage_usec 1500\nuser_usec 1\n",
		"pids.max": "max\n", "memory.max": "max\n", "memory.swap.max": "max\n", "memory.oom.group": "0\n",
		"memory.events": "low 0\noom 3\noom_kill 2\noom_group_kill 1\n",
	})
	c := &cage{place: p, home: &home{}}
	if err := c.open(); err != nil {
		t.Fatal(err)
	}
	defer c.close()
	c.outOfMemory = c.oomKills()
	if c.outOfMemory != 2 || c.ranOut() || c.populated() || c.cpu() != 1500e3 {
		t.Errorf("%d kills, populated %v, CPU %v", c.outOfMemory, c.populated(), c.cpu())
	}
	c.outOfMemory--
	if !c.ranOut() {
		t.Error("it did not run out of memory")
	}
	if !c.limitMemory(1<<20) || !c.tasks {
		t.Error("there are no limits")
	}
	want := map[string]string{"memory.max": "1048576", "memory.swap.max": "0", "memory.oom.group": "1", "pids.max": fmt.Sprint(maxTasks)}
	for name, text := range want {
		if got := p.words(name); len(got) != 1 || !strings.HasPrefix(got[0], text) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestIsolationString(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		i    Isolation
		want []string
	}{
		{Isolation{}, []string{"process group only", "memory not limited"}},
		{Isolation{Why: "no luck", Subreaper: true, Limits: true}, []string{"no luck", "subreaper", "RLIMIT_DATA"}},
		{Isolation{Cgroup: "/cg", Memory: true, Tasks: true, Subreaper: true, Limits: true}, []string{"/cg", "memory.max", "4096"}},
	} {
		for _, w := range c.want {
			if !strings.Contains(c.i.String(), w) {
				t.Errorf("%q does not say %q", c.i, w)
			}
		}
	}
}

func init() {
	programs["limits"] = func(args []string) { // waits until the limits are set, and tells them
		var l syscall.Rlimit
		for l.Max != uint64(number(args, 0)) {
			_ = syscall.Getrlimit(unix.RLIMIT_NOFILE, &l)
		}
		for _, which := range []int{unix.RLIMIT_NOFILE, unix.RLIMIT_FSIZE, unix.RLIMIT_CORE} {
			for done := false; !done; {
				_ = syscall.Getrlimit(which, &l)
				done = l.Cur == l.Max && l.Max < 1<<40
			}
			fmt.Print(l.Cur, " ")
		}
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, uncaged bool) {
		spec := child(t, "limits", "77")
		spec.uncaged, spec.OpenFiles, spec.FileSize = uncaged, 77, 1<<30
		if exit := run(t, spec); string(exit.Stdout) != "77 1073741824 1 " && string(exit.Stdout) != "77 1073741824 0 " {
			t.Errorf("%s, %+v", exit.Stdout, exit)
		}
	})
}

// A program that waits for a descendant at work is not stalled, wherever that
// one went: here to another session, and to us as its parent. It works for longer
// than the limit; the limit is long enough for a busy machine.
func TestNotStalled(t *testing.T) {
	t.Parallel()
	const work = `(setsid sh -c 'i=0; while [ $i -lt 6000000 ]; do i=$((i+1)); done; echo done; kill $0' $$ &); sleep 60 & wait`
	bothWays(t, func(t *testing.T, uncaged bool) {
		exit := run(t, Spec{
			Path: "/bin/sh", Args: []string{"-c", work}, Env: []string{"PATH=/usr/bin:/bin"},
			Stall: 4 * time.Second, uncaged: uncaged,
		})
		if exit.Stalled || exit.Signal != syscall.SIGTERM || string(exit.Stdout) != "done\n" {
			t.Errorf("%+v", exit)
		}
	})
}
