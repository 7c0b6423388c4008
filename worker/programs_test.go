package worker

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/jobs"
)

// tree is a folder in which a test builds programs.
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
		fault string // none for a good program
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

// TestOwner needs root to give a file away.
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

// TestNewProgram installs, replaces and spoils a program under a running node.
func TestNewProgram(t *testing.T) {
	t.Parallel()
	changes := make(chan []ledger.Program, 100)
	r := newRig(t, func(c *Config) { c.OnPrograms = func(list []ledger.Program) { changes <- list } })
	n := r.start()
	if list := n.Programs(); len(list) != 0 {
		t.Fatalf("programs are %v", list)
	}
	id := r.submit(job("late")) // waits for its program
	r.install("late", "echo 1")
	r.await(id, jobs.Succeeded)
	first := r.result(id).Provenance.ProgramSHA256
	if list := receive(t, changes); len(list) != 1 || list[0].SHA256 != first {
		t.Errorf("announced %v, ran %s", list, first)
	}

	r.install("late", "echo 2")
	second := r.submit(job("late"))
	r.await(second, jobs.Succeeded)
	if got := r.result(second); string(got.Result) == "2" && got.Provenance.ProgramSHA256 == first {
		t.Errorf("the new program ran under the old digest")
	}

	r.install("other", "echo 3") // watched as well, without a restart
	r.await(r.submit(job("other")), jobs.Succeeded)
}

// TestSpoiledProgram makes a program writable by all behind the node's back:
// the job waits and says why, and runs once that is put right.
func TestSpoiledProgram(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *Config) { c.onPause = func() { t.Error("a slot has stopped taking work") } })
	r.install("p", "echo 1")
	n := r.start()
	r.await(r.submit(job("p")), jobs.Succeeded)
	path := filepath.Join(r.cfg.Programs, "p")
	r.must(os.Chmod(path, 0o757))
	j := job("p")
	id := r.submit(j)
	r.until("the job waits for its program", func() bool {
		record := r.get(id)
		return record.State == jobs.Queued && strings.Contains(record.Reason, "program p: the file is writable by others") ||
			record.Attempt == 0 && len(n.Programs()) == 0 // the scan was first
	})
	r.must(os.Chmod(path, 0o755))
	if record := r.await(id, jobs.Succeeded); record.Spent != 0 {
		t.Errorf("a fault of the node has cost the job %d attempts", record.Spent)
	}
}

// TestReplacedMeanwhile replaces and spoils a program while the inputs of its
// jobs are fetched: they run again at no cost, and no slot stops for it.
func TestReplacedMeanwhile(t *testing.T) {
	t.Parallel()
	asked, answer := make(chan struct{}, 10), make(chan struct{})
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		asked <- struct{}{}
		<-answer
		fmt.Fprint(w, "1")
	})
	r := newRig(t, func(c *Config) {
		c.scanEvery = time.Hour // the attempts find out
		c.onPause = func() { t.Error("a slot has stopped taking work") }
	})
	r.install("replaced", "echo 1")
	r.install("spoiled", "echo 1")
	r.start()
	var ids []string
	for _, name := range []string{"replaced", "spoiled"} {
		j := job(name)
		j.Input = jobs.Input{URL: url}
		ids = append(ids, r.submit(j))
		receive(t, asked)
	}
	r.install("replaced", "echo 2")
	path := filepath.Join(r.cfg.Programs, "spoiled")
	r.must(os.Chmod(path, 0o757))
	close(answer)
	if r.await(ids[0], jobs.Succeeded); string(r.result(ids[0]).Result) != "2" {
		t.Errorf("result is %s", r.result(ids[0]).Result)
	}
	r.until("the other job waits", func() bool {
		record := r.get(ids[1])
		return record.State == jobs.Queued && strings.Contains(record.Reason, "program spoiled: the file is writable by others")
	})
	for _, id := range ids {
		if record := r.get(id); record.Spent != 0 || r.hasEvent(id, "trouble") {
			t.Errorf("%d attempts spent, or booked to the node", record.Spent)
		}
	}
}
