package main

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/runnerbean/runnerbean/internal/batch"
	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
	"github.com/runnerbean/runnerbean/jobs"
)

// installFilm installs a program that draws a frame, which shows what it needs, and one that
// makes a film of all frames.
func (p *process) installFilm() {
	p.t.Helper()
	p.install("draw", `read -r in; { echo "frame $in"; cat inputs/needs/*/files/picture.txt; } >out/picture.txt 2>/dev/null; sleep 0.05; echo "$in"`)
	p.install("film", `cd inputs/needs; for n in $(ls | sort -n); do cat "$n/files/picture.txt"; done >../../out/film.txt; echo 1`)
}

// filmBatch is a batch of 40 frames, each tenth of which needs the one before it.
func filmBatch(id string) string {
	var frames []string
	for n := 1; n <= 40; n++ {
		if n%10 == 0 {
			frames = append(frames, fmt.Sprintf(`{"number":%d,"needs":[%d]}`, n, n-1))
		} else {
			frames = append(frames, fmt.Sprint(n))
		}
	}
	return fmt.Sprintf(`{"id":%q,"program":"batch","input":{"data":{"job":{"program":"draw","input":{"data":"${frame}"}},"frames":[%s],"bundle":{"program":"film"}}}}`,
		id, strings.Join(frames, ","))
}

// wantFilm is the film of filmBatch.
func wantFilm() string {
	var b strings.Builder
	for n := 1; n <= 40; n++ {
		fmt.Fprintf(&b, "frame %d\n", n)
		if n%10 == 0 {
			fmt.Fprintf(&b, "frame %d\n", n-1)
		}
	}
	return b.String()
}

// checkFilm checks what the batch has left.
func (p *process) checkFilm(id string) {
	p.t.Helper()
	r := p.final(p.url + "/" + id)
	var s batch.Summary
	if err := r.Decode(&s); err != nil || s.Frames != 40 || s.Succeeded != 40 {
		p.t.Fatalf("%v: %+v", err, s)
	}
	if got := p.text("/" + jobs.BundleID(id) + "/files/film.txt"); got != wantFilm() {
		p.t.Errorf("the film is %q", got)
	}
}

// TestBatchOfAKilledNode kills the node of a batch three times. The bundle is the same as
// without that.
func TestBatchOfAKilledNode(t *testing.T) {
	t.Parallel()
	p := startWorker(t)
	p.installFilm()
	p.until("the programs", func() bool { return strings.Contains(p.text("/api/v1/programs"), `"film"`) })
	id := jobs.NewID()
	p.postJob(filmBatch(id))
	ended := func() float64 {
		r, _ := p.get(p.url + "/" + id)
		return r.Counters["succeeded"]
	}
	for n := range 3 {
		p.until("some frames", func() bool { return ended() >= float64(8*(n+1)) })
		p.end(syscall.SIGKILL)
		p.start("worker")
	}
	p.checkFilm(id)
}

// TestSubmitBatch submits batches with the command line, also as documents, and refuses those
// with unknown programs.
func TestSubmitBatch(t *testing.T) {
	t.Parallel()
	p := startWorker(t)
	p.install("one", "cat >/dev/null; echo 1")
	p.until("the programs", func() bool { return strings.Contains(p.text("/api/v1/programs"), `"one"`) })
	var r jobs.Result
	if err := json.Unmarshal([]byte(p.must("submit", "--program", "one", "--matrix", "a=1,2,3", "--matrix", "b=x,y", "--wait")), &r); err != nil {
		t.Fatal(err)
	}
	var s batch.Summary
	if err := r.Decode(&s); err != nil || s.Succeeded != 6 {
		t.Errorf("%+v, %v", s, err)
	}
	out, log, code := p.client(`{"job":{"program":"one"},"frames":"5-7","labels":{"a":"b"}}`, "submit", "--wait", "-")
	if err := json.Unmarshal([]byte(out), &r); err != nil || r.Decode(&s) != nil || s.Frames != 3 || code != 0 {
		t.Errorf("%+v, %v, %d: %s", s, err, code, log)
	}
	lines := filepath.Join(t.TempDir(), "lines")
	write(t, lines, strings.Repeat(strings.Repeat("x", 20_000)+"\n", 60)) // more than a document takes
	out = p.must("submit", "--wait", "--program", "one", "--data", `"${line}"`, "--each-line", lines)
	if err := json.Unmarshal([]byte(out), &r); err != nil || r.Decode(&s) != nil || s.Frames != 60 || s.Succeeded != 60 {
		t.Errorf("%+v, %v", s, err)
	}
	p.expect(1, "/input/data/job/program", "submit", "--program", "unknown", "--array", "1-3")
	p.expect(2, "", "submit", "--program", "one", "--array", "1-3:0")
}

// installSweep installs the programs of examples/sweep.
func (p *process) installSweep() {
	p.t.Helper()
	for name, path := range map[string]string{"sweep": "./examples/sweep", "collect": "./examples/sweep/collect"} {
		build := exec.Command("go", "build", "-o", filepath.Join(p.setting("PROGRAMS"), name), path)
		build.Dir = "../.."
		if out, err := build.CombinedOutput(); err != nil {
			p.t.Fatalf("%v\n%s", err, out)
		}
	}
}

// sweepBatch is a batch of 12 frames with checkpoints.
func sweepBatch(id string) string {
	return fmt.Sprintf(`{"id":%q,"program":"batch","input":{"data":{
		"job":{"program":"sweep","input":{"data":{"frame":"${frame}","volatility":"${v}","strike":"${k}","paths":15000}}},
		"matrix":{"v":[0.1,0.2,0.3,0.4],"k":[90,100,110]},"bundle":{"program":"collect"}}}}`, id)
}

// TestSweepOfAKilledNode kills the node of examples/sweep again and again. All numbers are those
// of programs that ran in a shell.
func TestSweepOfAKilledNode(t *testing.T) {
	t.Parallel()
	p := newNode(t, queuetest.Start(t).Addr)
	p.installSweep()
	p.start("worker")
	id := jobs.NewID()
	p.postJob(sweepBatch(id))
	for n := range 4 {
		p.until("a program", func() bool {
			r, _ := p.get(p.url + "/" + id)
			return r.Counters["running"] > 0 || r.State.Final() || r.Counters["succeeded"] > float64(n)
		})
		p.end(syscall.SIGKILL)
		p.start("worker")
	}
	p.final(p.url + "/" + id)
	var got struct{ Points []json.RawMessage }
	if err := p.final(p.url + "/" + jobs.BundleID(id)).Decode(&got); err != nil || len(got.Points) != 12 {
		t.Fatalf("%v: %s", err, got.Points)
	}
	for n, point := range got.Points {
		shell := exec.Command(filepath.Join(p.setting("PROGRAMS"), "sweep"))
		shell.Stdin = strings.NewReader(fmt.Sprintf(`{"frame":%d,"volatility":%v,"strike":%v,"paths":15000}`, n, []float64{0.1, 0.2, 0.3, 0.4}[n/3], []int{90, 100, 110}[n%3]))
		want, err := shell.Output()
		if err != nil || strings.TrimSpace(string(want)) != string(point) {
			t.Errorf("frame %d: %s, want %s, %v", n, point, want, err)
		}
	}
}
