package cgroup

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestFindLocation(t *testing.T) {
	t.Parallel()
	const v1 = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n36 31 0:33 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
	mount := func(root, dir string) string {
		return v1 + "41 31 0:38 " + root + " " + dir + " rw,nosuid shared:9 - cgroup2 cgroup2 rw\n"
	}
	cases := map[string]struct {
		cgroups, mounts string
		want            location
	}{
		"pure":            {"0::/a/b\n", mount("/", "/sys/fs/cgroup"), location{"/sys/fs/cgroup/a/b", "/a/b"}},
		"mixed":           {"4:memory:/x\n0::/\n", mount("/", "/sys/fs/cgroup/unified"), location{"/sys/fs/cgroup/unified", "/"}},
		"a part":          {"0::/a/b/c\n", mount("/a/b", "/cg"), location{"/cg/c", "/a/b/c"}},
		"exactly a part":  {"0::/a/b\n", mount("/a/b", "/cg"), location{"/cg", "/a/b"}},
		"another part":    {"0::/a/bc\n", mount("/a/b", "/cg"), location{}},
		"a space":         {"0::/a b\n", mount("/", `/c\040g`), location{"/c g/a b", "/a b"}},
		"not mounted":     {"0::/a\n", v1, location{}},
		"version 1 only":  {"4:memory:/x\n", mount("/", "/cg"), location{}},
		"out of our view": {"0::/../x\n", mount("/", "/cg"), location{}},
		"nothing":         {"", "", location{}},
	}
	for name, c := range cases {
		got, err := findLocation([]byte(c.cgroups), []byte(c.mounts))
		if got != c.want || (err == nil) != (c.want != location{}) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func FuzzFindLocation(f *testing.F) {
	f.Add("0::/a\n", "41 31 0:38 / /cg rw - cgroup2 cgroup2 rw\n")
	f.Add("0::/../a", `1 2 3 /a /c\040g rw - cgroup2 x`)
	f.Fuzz(func(t *testing.T, cgroups, mounts string) {
		p, err := findLocation([]byte(cgroups), []byte(mounts))
		if err == nil && (p.path == "" || p.dir == "") {
			t.Errorf("%+v", p)
		}
		_ = parseNumber([]byte(mounts), "0::/a")
	})
}

// fakeCgroup creates a folder with some files of a cgroup.
func fakeCgroup(t *testing.T, dir string, files map[string]string) location {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return location{dir: dir, path: "/x/" + filepath.Base(dir)}
}

// A plan enables controllers only in a delegated cgroup without other
// processes.
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
		want              plan // without base, which atParent tells
		atParent          bool
	}{
		"not delegated":      {procs: "7\n"},
		"alone":              {delegated: true, procs: "7\n", want: plan{enable: []string{"memory"}, move: true}},
		"not alone":          {delegated: true, procs: "7\n8\n"},
		"in a leaf":          {parent: true, procs: "7\n", want: plan{enable: []string{"memory"}}, atParent: true},
		"both are delegated": {parent: true, delegated: true, procs: "7\n", want: plan{enable: []string{"memory"}}, atParent: true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			parent := fakeCgroup(t, t.TempDir(), controllers)
			parent.path = "/x"
			own := fakeCgroup(t, filepath.Join(parent.dir, "own"), with(c.procs))
			for p, on := range map[location]bool{parent: c.parent, own: c.delegated} {
				if err := unix.Setxattr(p.dir, "user.delegate", []byte{'0', '1'}[b2i(on):][:1], 0); err != nil {
					t.Skipf("the file system has no attributes: %v", err)
				}
			}
			c.want.base = own
			if c.atParent {
				c.want.base = parent
			}
			got := planAt(own, 7)
			if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(plan{}, location{})); diff != "" {
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

// The files of a cgroup with all controllers are imitated, since few test
// machines have them.
func TestControllers(t *testing.T) {
	t.Parallel()
	p := fakeCgroup(t, t.TempDir(), map[string]string{
		"cgroup.kill": "", "cgroup.events": "populated 0\nfrozen 0\n", "cpu.stat": "usage_usec 1500\nuser_usec 1\n",
		"pids.max": "max\n", "memory.max": "max\n", "memory.swap.max": "max\n", "memory.oom.group": "0\n",
		"memory.events": "low 0\noom 3\noom_kill 2\noom_group_kill 1\n",
	})
	c := &Cgroup{location: p, free: &freeList{}}
	if err := c.open(); err != nil {
		t.Fatal(err)
	}
	defer c.close()
	c.oomKillsBefore = c.oomKills()
	if c.oomKillsBefore != 2 || c.OutOfMemory() || c.populated() || c.CPU() != 1500e3 {
		t.Errorf("%d kills, populated %v, CPU %v", c.oomKillsBefore, c.populated(), c.CPU())
	}
	c.oomKillsBefore--
	if !c.OutOfMemory() {
		t.Error("it did not run out of memory")
	}
	if !c.LimitMemory(1<<20) || !c.tasks {
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
