package program

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// tree is a folder of programs.
type tree struct {
	t   *testing.T
	dir string
}

func newTree(t *testing.T) *tree {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	tr := &tree{t: t, dir: filepath.Join(dir, "programs")}
	tr.must(err)
	tr.must(os.Mkdir(tr.dir, 0o755))
	return tr
}

func (tr *tree) must(err error) {
	tr.t.Helper()
	if err != nil {
		tr.t.Fatal(err)
	}
}

func (tr *tree) path(name string) string { return filepath.Join(tr.dir, name) }

func (tr *tree) file(name string, mode os.FileMode, text string) {
	tr.t.Helper()
	tr.must(os.MkdirAll(filepath.Dir(tr.path(name)), 0o755))
	tr.must(os.WriteFile(tr.path(name), []byte(text), 0o600))
	tr.must(os.Chmod(tr.path(name), mode))
}

func TestInspect(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name  string
		build func(*tree)
		fault string // empty for a good program
	}{
		{"plain", func(tr *tree) { tr.file("p", 0o755, "x") }, ""},
		{"folder", func(tr *tree) { tr.file("p/run", 0o755, "x") }, ""},
		{"manifest", func(tr *tree) {
			tr.file("p/run", 0o755, "x")
			tr.file("p/program.json", 0o644, `{"description":"d","timeout":"1m","attempts":2,"environment":["A"],"input":{},"result":true,"deterministic":true}`)
		}, ""},
		{"link inside", func(tr *tree) {
			tr.file(".versions/p-1", 0o755, "x")
			tr.must(os.Symlink(".versions/p-1", tr.path("p")))
		}, ""},
		{"link outside", func(tr *tree) { tr.must(os.Symlink("/bin/cat", tr.path("p"))) }, "symbolic link out of the programs folder"},
		{"run outside", func(tr *tree) {
			tr.must(os.Mkdir(tr.path("p"), 0o755))
			tr.must(os.Symlink("/bin/cat", tr.path("p/run")))
		}, "symbolic link out of the programs folder"},
		{"dangling", func(tr *tree) { tr.must(os.Symlink("nowhere", tr.path("p"))) }, "no such file"},
		{"by others", func(tr *tree) { tr.file("p", 0o757, "x") }, "the file is writable by others (mode 0757; chmod go-w)"},
		{"by group", func(tr *tree) { tr.file("p", 0o775, "x") }, "the file is writable by others"},
		{"folder by others", func(tr *tree) {
			tr.file("p/run", 0o755, "x")
			tr.must(os.Chmod(tr.path("p"), 0o777))
		}, "its folder"},
		{"programs by others", func(tr *tree) {
			tr.file("p", 0o755, "x")
			tr.must(os.Chmod(tr.dir, 0o777|os.ModeSticky))
		}, "is writable by others (mode 1777"},
		{"manifest by others", func(tr *tree) {
			tr.file("p/run", 0o755, "x")
			tr.file("p/program.json", 0o666, `{}`)
		}, "program.json is writable by others"},
		{"not executable", func(tr *tree) { tr.file("p", 0o644, "x") }, "not executable (mode 0644; chmod +x)"},
		{"no run", func(tr *tree) { tr.must(os.Mkdir(tr.path("p"), 0o755)) }, "no file named run"},
		{"run is a folder", func(tr *tree) { tr.must(os.MkdirAll(tr.path("p/run"), 0o755)) }, "not a regular file"},
		{"pipe", func(tr *tree) { tr.must(unix.Mkfifo(tr.path("p"), 0o755)) }, "not a regular file"},
		{"unknown member", func(tr *tree) {
			tr.file("p/run", 0o755, "x")
			tr.file("p/program.json", 0o644, `{"timeuot":"1m"}`)
		}, "timeuot"},
		{"bad schema", func(tr *tree) {
			tr.file("p/run", 0o755, "x")
			tr.file("p/program.json", 0o644, `{"input":{"type":"nothing"}}`)
		}, "input: it is not a JSON Schema"},
		{"schema that loads", func(tr *tree) {
			tr.file("p/run", 0o755, "x")
			tr.file("p/program.json", 0o644, `{"input":{"$ref":"file:///etc/passwd"}}`)
		}, "a schema may refer to itself only"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			tr := newTree(t)
			c.build(tr)
			list, err := Inspect(tr.dir)
			tr.must(err)
			if len(list) != 1 || list[0].Name != "p" {
				t.Fatalf("found %+v", list)
			}
			switch err := list[0].Err; {
			case c.fault == "" && (err != nil || len(list[0].Program.SHA256) != 64):
				t.Errorf("got %+v", list[0])
			case c.fault != "" && (err == nil || !strings.Contains(err.Error(), c.fault)):
				t.Errorf("fault is %v, want %s", err, c.fault)
			}
		})
	}
}

func TestInspectNames(t *testing.T) {
	t.Parallel()
	tr := newTree(t)
	for _, name := range []string{"good-1.0_x", "Bad", "-bad", ".hidden", "ok"} {
		tr.file(name, 0o755, "x")
	}
	list, err := Inspect(tr.dir)
	tr.must(err)
	var got []string
	for _, i := range list {
		if i.Err == nil {
			got = append(got, i.Name)
		} else {
			got = append(got, i.Name+"!")
		}
	}
	if diff := cmp.Diff([]string{"-bad!", "Bad!", "good-1.0_x", "ok"}, got); diff != "" {
		t.Error(diff)
	}
}

// TestOwner checks a file of another user. It needs root.
func TestOwner(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	tr := newTree(t)
	tr.file("p", 0o755, "x")
	tr.must(os.Chown(tr.path("p"), 12345, 12345))
	list, err := Inspect(tr.dir)
	tr.must(err)
	if err := list[0].Err; err == nil || !strings.Contains(err.Error(), "belongs to user 12345") {
		t.Errorf("fault is %v", err)
	}
}
