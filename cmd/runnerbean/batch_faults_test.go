package main

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/runnerbean/runnerbean/internal/batch"
	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
	"github.com/runnerbean/runnerbean/jobs"
)

// faultyBatch is a batch that faults must not change.
type faultyBatch struct {
	install  func(*process)
	document func(id string) string
	program  string // of its frames
	each     int    // frames that start between two faults; five times as many are not all
	file     string // that its bundle leaves
	frames   bool   // leave files, too
}

var faultyBatches = map[string]faultyBatch{
	"film":  {(*process).installFilm, filmBatch, "draw", 6, "film.txt", true},
	"sweep": {(*process).installSweep, sweepBatch, "sweep", 2, "prices.csv", false},
}

// gate is a folder that holds up the runs of a program: each takes a file first. While there is a
// file "open", none waits.
type gate string

func (g gate) file(name string) string { return filepath.Join(string(g), name) }

// move moves a program of a node away, and returns where it is: another one takes its place.
func (p *process) move(program string) (moved string) {
	p.t.Helper()
	moved = filepath.Join(p.folder, strings.ReplaceAll(program, "/", "-")+"-moved")
	if err := os.Rename(filepath.Join(p.setting("PROGRAMS"), program), moved); err != nil {
		p.t.Fatal(err)
	}
	return moved
}

// hold makes a program of a node wait at the gate.
func (g gate) hold(p *process, program string) {
	p.t.Helper()
	held := p.move(program)
	p.install(program, fmt.Sprintf(`cd %s || exit 1
take() { for token in token-*; do mv "$token" "taken-$$" 2>/dev/null && return; done; return 1; }
until [ -e open ] || take; do sleep 0.02; done
cd "$OLDPWD" && exec %s`, string(g), held))
}

// let lets n runs go.
func (g gate) let(t *testing.T, n int) {
	t.Helper()
	for range n {
		write(t, g.file("token-"+jobs.NewID()), "")
	}
}

// bundleAfter runs a batch, with a fault each time that more of its frames have ended and others
// run. It returns the SHA-256 of what the bundle has left, and one of the names and bytes of what the frames have.
func (p *process) bundleAfter(b faultyBatch, g gate, faults ...func()) (bundle, frames string) {
	p.t.Helper()
	if err := os.RemoveAll(g.file("open")); err != nil {
		p.t.Fatal(err)
	}
	id := jobs.NewID()
	p.postJob(b.document(id))
	ended := 0.0
	more := func() (ok, final bool) {
		r, ok := p.get(p.url + "/" + id)
		if ok = ok && r.Counters["succeeded"] > ended && r.Counters["running"] > 0; ok {
			ended = r.Counters["succeeded"]
		}
		return ok, r.State.Final()
	}
	for i, fault := range faults {
		g.let(p.t, b.each)
		p.until(fmt.Sprintf("more frames before fault %d", i), func() bool {
			ok, final := more()
			if final {
				p.t.Fatalf("the batch has ended before fault %d", i)
			}
			return ok
		})
		fault()
	}
	write(p.t, g.file("open"), "")
	for final := false; !final; { // a busy machine draws few frames in the time of one wait
		p.until("more frames, or the end", func() (ok bool) {
			ok, final = more()
			return ok || final
		})
	}
	var s batch.Summary
	if r := p.final(p.url + "/" + id); r.Decode(&s) != nil || s.Frames == 0 || s.Succeeded != s.Frames {
		p.t.Fatalf("%+v: %+v", r, r.Error)
	}
	for _, a := range p.final(p.url + "/" + jobs.BundleID(id)).Artifacts {
		if a.Name == b.file {
			bundle = a.SHA256
		}
	}
	if bundle == "" {
		p.t.Fatalf("the bundle has no %s", b.file)
	}

	if b.frames {
		frames = tarSum(p.t, p.text("/"+id+"/bundle.tar"))
	}
	return bundle, frames
}

// tarSum returns the SHA-256 of the names and bytes in a tar. Its times are those of the run.
func tarSum(t *testing.T, archive string) string {
	t.Helper()
	sum := sha256.New()
	for in := tar.NewReader(strings.NewReader(archive)); ; {
		header, err := in.Next()
		if err == io.EOF {
			return hex.EncodeToString(sum.Sum(nil))
		}
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(sum, "%s %d\n", header.Name, header.Size)
		if _, err := io.Copy(sum, in); err != nil {
			t.Fatal(err)
		}
	}
}

// TestBatchOfAKilledBeanstalkd kills beanstalkd, with and without the loss of its disk, and once
// with the node. The files are those of a run without that.
func TestBatchOfAKilledBeanstalkd(t *testing.T) {
	t.Parallel()
	for name, b := range faultyBatches {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := queuetest.Start(t)
			p := newNode(t, server.Addr)
			g := gate(t.TempDir())
			b.install(p)
			g.hold(p, b.program)
			p.start("worker")
			wantBundle, wantFrames := p.bundleAfter(b, g)
			lost := func() { server.Kill(); server.Wipe(); server.Restart() }
			both := func() { p.end(syscall.SIGKILL); lost(); p.start("worker") }
			bundle, frames := p.bundleAfter(b, g, server.Restart, lost, both, server.Restart)
			if bundle != wantBundle || frames != wantFrames {
				t.Errorf("%s and %s, want %s and %s", bundle, frames, wantBundle, wantFrames)
			}
		})
	}
}
