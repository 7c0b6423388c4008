package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/worker/internal/fault"
)

// TestUnstartable runs jobs of programs that cannot start, beside good ones. They fail
// at once with the reason, and no slot stops taking work.
func TestUnstartable(t *testing.T) {
	t.Parallel()
	r := newFixture(t, func(c *Config) { c.onPause = func() { t.Error("a slot has stopped taking work") } })
	broken := []struct{ text, problem string }{
		{"echo 1\n", "it has no #! line"},
		{"#!/no/such/python\n", "its interpreter /no/such/python does not exist"},
		{"\x00\x01\x02\x03", "it is not in a format that this machine can run"},
		{"#!/bin/sh\r\necho 1\r\n", "its #! line ends in a carriage return"},
		{"#!/usr/bin/env python3.99\n", "its interpreter python3.99 is not in the program's PATH"},
	}
	for i, c := range broken {
		r.must(os.WriteFile(filepath.Join(r.cfg.Programs, fmt.Sprint("bad", i)), []byte(c.text), 0o755))
	}
	r.install("good", "echo 1")
	r.must(os.MkdirAll(filepath.Join(r.cfg.Programs, "closed"), 0o755))
	r.must(os.WriteFile(filepath.Join(r.cfg.Programs, "closed", "run"), []byte("#!/bin/sh\n"), 0o644))
	var bad, good []string
	for i := range broken {
		bad = append(bad, r.submit(job(fmt.Sprint("bad", i))))
		good = append(good, r.submit(job("good")))
	}
	closed := r.submit(job("closed"))
	r.start()
	for _, id := range good {
		r.await(id, jobs.Succeeded)
	}
	for i, id := range append(bad, closed) {
		want := "program closed cannot be started: it is not executable"
		if i < len(broken) {
			want = fmt.Sprintf("program bad%d cannot be started: %s", i, broken[i].problem)
		}
		record := r.await(id, jobs.Failed)
		if e := record.Error; e.Class != jobs.OutcomeError || !strings.Contains(e.Message, want) || record.Attempt != 1 {
			t.Errorf("attempt %d: %+v, want %q", record.Attempt, e, want)
		}
		if r.hasEvent(id, "trouble") {
			t.Error("its fault was booked to the node")
		}
	}
}

// TestInterpreterAppears installs and removes the interpreter of a program while the
// node runs.
func TestInterpreterAppears(t *testing.T) {
	t.Parallel()
	announced := make(chan []nodes.Program, 100)
	r := newFixture(t, func(c *Config) { c.OnPrograms = func(list []nodes.Program) { announced <- list } })
	python := filepath.Join(t.TempDir(), "python")
	r.must(os.WriteFile(filepath.Join(r.cfg.Programs, "p"), []byte("#!"+python+"\necho 1\n"), 0o755))
	n := r.start()
	if list := n.Programs(); len(list) != 1 || list[0].Problem != "its interpreter "+python+" does not exist" {
		t.Fatalf("announced %+v", list)
	}
	id := r.submit(job("p"))
	r.await(id, jobs.Failed)
	r.must(os.Symlink("/bin/sh", python))
	if list := receive(t, announced); len(list) != 1 || list[0].Problem != "" {
		t.Errorf("announced %+v", list)
	}
	r.act(ledger.VerbRetry, id)
	r.put(jobs.Job{ID: id, Program: "p"})
	r.await(id, jobs.Succeeded)
	r.must(os.Remove(python))
	if list := receive(t, announced); len(list) != 1 || list[0].Problem == "" {
		t.Errorf("announced %+v", list)
	}
}

// TestStartFault checks the faults of a program that is good until the node starts it.
func TestStartFault(t *testing.T) {
	t.Parallel()
	r := newFixture(t, func(c *Config) { c.onPause = func() { t.Error("a slot has stopped taking work") } })
	r.install("p", "echo 1")
	w, err := New(r.cfg)
	r.must(err)
	h := w.newHandler(&panicRecorder{})
	a := h.newAttempt(ledger.Record{Program: "p"}, w.programs.Current().Programs["p"], &resources{})
	a.run.dir, a.stop = t.TempDir(), newStopper(t.Context())
	defer a.stop.release()
	pathError := func(err error) error {
		return fmt.Errorf("process: start: %w", &fs.PathError{Op: "exec", Path: a.program.Path, Err: err})
	}
	for _, c := range []struct {
		err         error
		node, final bool
		message     string
	}{
		{pathError(unix.ENOEXEC), false, true, "program p cannot be started: it is not in a format that this machine can run"},
		{pathError(unix.ENOENT), false, false, "program p cannot be started: no such file or directory"},
		{pathError(unix.EACCES), false, false, "program p cannot be started: permission denied"},
		{pathError(unix.ETXTBSY), false, false, "somebody is writing to it"},
		{pathError(unix.E2BIG), false, false, "its environment is too large"},
		{pathError(unix.ENOMEM), true, false, "cannot allocate memory"},
		{pathError(unix.EAGAIN), true, false, "resource temporarily unavailable"},
		{pathError(unix.EMFILE), true, false, "too many open files"},
		{fmt.Errorf("pipe: %w", unix.EMFILE), true, false, "too many open files"},
	} {
		var f *fault.Fault
		if errors.As(h.runner.notStarted(a, c.err), &f); f.Node != c.node || f.Final != c.final || !strings.Contains(f.Message, c.message) {
			t.Errorf("%v: %+v", c.err, f)
		}
	}
	a.run.dir = filepath.Join(a.run.dir, "gone")
	var f *fault.Fault
	if errors.As(h.runner.notStarted(a, pathError(unix.ENOENT)), &f); !f.Node {
		t.Errorf("a working directory that is gone: %+v", f)
	}
}

// TestLeftToOthers has two nodes, one with a broken copy of a program. The other one
// runs all jobs.
func TestLeftToOthers(t *testing.T) {
	t.Parallel()
	r := newFixture(t)
	r.install("p", "echo 1")
	first, err := New(r.cfg)
	r.must(err)
	broken := r.cfg
	broken.Node, broken.Instance = "n2", jobs.NewID()
	broken.Programs, broken.Scratch = filepath.Join(r.dir, "programs2"), filepath.Join(r.dir, "scratch2")
	r.must(os.Mkdir(broken.Programs, 0o755))
	r.must(os.Mkdir(broken.Scratch, 0o755))
	r.must(os.WriteFile(filepath.Join(broken.Programs, "p"), []byte("#!/no/such/shell\n"), 0o755))
	second, err := New(broken)
	r.must(err)
	for _, w := range []*Worker{first, second} {
		r.must(r.ledger.Nodes.Register(context.Background(), nodes.Node{
			Name: w.cfg.Node, Instance: w.cfg.Instance, Home: w.cfg.Programs, Slots: 2, Programs: w.Programs(),
		}))
	}
	var ids []string
	for range 20 {
		ids = append(ids, r.submit(job("p")))
	}
	r.run(second)
	r.until("the node with the broken copy leaves the jobs to the other", func() bool { return len(second.programs.Current().Tubes) == 0 })
	r.run(first)
	for _, id := range ids {
		if record := r.await(id, jobs.Succeeded); record.Node != r.cfg.Node || record.Attempt != 1 {
			t.Errorf("attempt %d on %s", record.Attempt, record.Node)
		}
	}
}

// announceElsewhere registers another node with a good copy of a program.
func (r *fixture) announceElsewhere(program string) {
	r.t.Helper()
	r.must(r.ledger.Nodes.Register(r.t.Context(), nodes.Node{
		Name: "n2", Instance: jobs.NewID(), Home: r.t.TempDir(), Slots: 1,
		Programs: []nodes.Program{{Name: program, SHA256: otherDigest}},
	}))
}

// TestProgramThatOnlyTheKernelRefuses has a program that every node announces as good.
// Its job is left to none of them.
func TestProgramThatOnlyTheKernelRefuses(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("executables of Linux")
	}
	binary, err := os.ReadFile("/bin/true")
	if err != nil || !bytes.HasPrefix(binary, []byte("\x7fELF\x02\x01")) {
		t.Skipf("/bin/true is not a 64-bit executable: %v", err)
	}
	binary[56], binary[57] = 0, 0 // the number of program headers
	r := newFixture(t)
	r.must(os.WriteFile(filepath.Join(r.cfg.Programs, "p"), binary, 0o755))
	r.announceElsewhere("p")
	n := r.start()
	if list := n.Programs(); len(list) != 1 || list[0].Problem != "" {
		t.Fatalf("announced %+v", list)
	}
	record := r.await(r.submit(job("p")), jobs.Failed)
	if want := "program p cannot be started: it is not in a format"; record.Attempt != 1 || !strings.Contains(record.Error.Message, want) {
		t.Errorf("attempt %d: %+v, want %q", record.Attempt, record.Error, want)
	}
}

// TestInterpreterVanishesMeanwhile removes an interpreter while the input of a job is
// fetched. The job fails only if no other node has a good copy.
func TestInterpreterVanishesMeanwhile(t *testing.T) {
	t.Parallel()
	for name, elsewhere := range map[string]bool{"here alone": false, "good elsewhere": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked, answer := make(chan struct{}, 10), make(chan struct{})
			url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				asked <- struct{}{}
				<-answer
				fmt.Fprint(w, "1")
			})
			r := newFixture(t, func(c *Config) { c.scanEvery = time.Hour }) // the attempt finds out
			python := filepath.Join(r.dir, "python")
			r.must(os.Symlink("/bin/sh", python))
			r.must(os.WriteFile(filepath.Join(r.cfg.Programs, "p"), []byte("#!"+python+"\necho 1\n"), 0o755))
			r.start()
			j := job("p")
			j.Input = jobs.Input{URL: url}
			id := r.submit(j)
			receive(t, asked)
			r.must(os.Remove(python))
			if elsewhere {
				r.announceElsewhere("p")
			}
			close(answer)
			want := "program p cannot be started: its interpreter " + python + " does not exist"
			if !elsewhere {
				if e := r.await(id, jobs.Failed).Error; !strings.Contains(e.Message, want) {
					t.Errorf("%+v", e)
				}
				return
			}
			want += "; it is left to nodes that have a good copy"
			if record := r.await(id, jobs.Queued); !strings.Contains(record.Reason, want) || record.Spent != 0 || r.hasEvent(id, "trouble") {
				t.Errorf("%d attempts spent, reason %q", record.Spent, record.Reason)
			}
		})
	}
}
