package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/runnerbean/runnerbean/chaos/internal/testbed"
)

// diskSize is in bytes. beanstalkd takes 10 MiB for a file of its binlog, and
// some of these files stay full.
const diskSize = 96 << 20

// fullDiskTest is a small file system, and processes with one of their folders
// on it.
type fullDiskTest struct {
	bed        *testbed.Testbed
	what       string // store, ledger or binlog
	path       string
	beanstalkd *testbed.Server
	node       *testbed.Node
	poll       *testbed.Poller
	ledger     string
	rng        *rand.Rand
}

// fullDisks fills three disks of three nodes at the same time.
func fullDisks(ctx context.Context, bed *testbed.Testbed) error {
	var wait sync.WaitGroup
	whats := []string{"store", "ledger", "binlog"}
	errs := make([]error, len(whats))
	for i, what := range whats {
		wait.Go(func() { errs[i] = fillOneDisk(ctx, bed, what) })
	}
	wait.Wait()
	return errors.Join(errs...)
}

func fillOneDisk(ctx context.Context, bed *testbed.Testbed, what string) error {
	path, err := bed.Folder("disk-" + what)
	if err != nil {
		return err
	}
	if err := testbed.Mount(path, diskSize); err != nil {
		return fmt.Errorf("cannot mount a tmpfs: run this as root, or as \"unshare -rm go run ./chaos c8\": %w", err)
	}
	defer testbed.Unmount(path)
	d, err := newFullDiskTest(ctx, bed, what, path)
	if err != nil {
		return err
	}
	defer d.poll.Close()
	return d.run(ctx)
}

func newFullDiskTest(ctx context.Context, bed *testbed.Testbed, what, path string) (*fullDiskTest, error) {
	d := &fullDiskTest{bed: bed, what: what, path: path, rng: bed.Random(what)}
	var err error
	if d.beanstalkd, err = bed.NewServer("beanstalkd-" + what); err != nil {
		return nil, err
	}
	if what == "binlog" {
		d.beanstalkd.Binlog = path
		for i, arg := range d.beanstalkd.Process.Args {
			if arg == "-b" {
				d.beanstalkd.Process.Args[i+1] = path
			}
		}
	}
	if err := d.beanstalkd.Up(ctx); err != nil {
		return nil, err
	}
	folder, err := bed.InstallPrograms("work")
	if err != nil {
		return nil, err
	}
	at := testbed.Shared{Beanstalkd: d.beanstalkd.Addr, Programs: folder}
	if what == "store" {
		at.Store = path
	}
	if what == "ledger" {
		at.Ledger = filepath.Join(path, "ledger.db")
	}
	if d.node, err = bed.NewNode("node-"+what, at, 2, map[string]string{"MIN_FREE": "2MiB"}); err != nil {
		return nil, err
	}
	if d.ledger = at.Ledger; d.ledger == "" {
		d.ledger = filepath.Join(d.node.Data, "ledger.db")
	}
	err = d.node.Up(ctx)
	d.poll = bed.StartPolling(ctx, 2, 5*time.Millisecond, d.node)
	return d, err
}

// run fills the disk several times while jobs run.
func (d *fullDiskTest) run(ctx context.Context) error {
	bed := d.bed
	times, full := testbed.Pick(bed, 3, 1), testbed.Pick(bed, 10*time.Second, 3*time.Second)
	over := time.Duration(times) * (full + 7*time.Second)
	list := make([]*testbed.Job, testbed.Pick(bed, 600, 160))
	for i := range list {
		list[i] = bed.WorkJob(d.rng, "work", time.Duration(d.rng.IntN(150))*time.Millisecond, 5000+d.rng.IntN(10_000))
	}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		(&testbed.Load{Bed: bed, Poll: d.poll, Nodes: []*testbed.Node{d.node}}).Submit(ctx, list, over)
	}()
	for range times {
		if !testbed.Sleep(ctx, 2*time.Second) {
			return ctx.Err()
		}
		if err := d.fill(ctx, full); err != nil {
			return err
		}
	}
	<-sent
	d.poll.AwaitEnds(ctx, testbed.Pick(bed, time.Minute, 30*time.Second))
	d.poll.Close()
	d.poll.ReadAll(ctx, list)
	damaged := 0.0
	if wrong := testbed.Integrity(ctx, d.ledger); wrong != "" {
		damaged = 1
		bed.History.Logf("%s: %s", d.ledger, wrong)
	}
	bed.History.Measure(d.what+": ledgers that SQLite finds damaged", damaged, 0)
	return ctx.Err()
}

// fill keeps the disk full for a while, and then frees it.
func (d *fullDiskTest) fill(ctx context.Context, full time.Duration) error {
	ballast := filepath.Join(d.path, "ballast")
	stop := make(chan struct{})
	filling := make(chan struct{})
	go func() {
		defer close(filling)
		d.fillUp(ballast, stop)
	}()
	began := time.Now()
	if d.what == "binlog" {
		// The node cannot see beanstalkd's disk, only its refusals.
		d.fillBinlog(ctx)
		testbed.Sleep(ctx, full-time.Since(began))
		d.restart(ctx)
	} else {
		said := d.awaitUnready(ctx, 10*time.Second)
		d.bed.History.Logf("%s: full, /readyz after %v: %s", d.what, time.Since(began).Round(time.Millisecond), said)
		d.bed.History.Measure(d.what+": seconds until /readyz says that the disk is full", since(began, strings.Contains(said, "RUNNERBEAN_MIN_FREE")), 10)
		testbed.Sleep(ctx, full-time.Since(began))
	}
	close(stop)
	<-filling
	freed := time.Now()
	if err := os.Remove(ballast); err != nil {
		return err
	}
	return d.recover(ctx, freed)
}

// since returns the seconds since t, or a very large number if it has not
// happened.
func since(t time.Time, happened bool) float64 {
	if !happened {
		return 1e6
	}
	return round(time.Since(t).Seconds())
}

// fillUp writes until the disk is full, and keeps it full until stop.
func (d *fullDiskTest) fillUp(path string, stop <-chan struct{}) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		d.bed.History.Logf("%v", err)
		return
	}
	defer file.Close()
	for chunk := make([]byte, 1<<20); ; {
		if _, err := file.Write(chunk); err != nil {
			chunk = make([]byte, 4096)
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
}

// awaitUnready waits until the node is not ready, and returns its answer.
func (d *fullDiskTest) awaitUnready(ctx context.Context, most time.Duration) (said string) {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	if err := testbed.Until(ctx, 50*time.Millisecond, "not ready", func() bool {
		status, text := d.readyz(ctx)
		said = text
		return status == http.StatusServiceUnavailable
	}); err != nil {
		return "it is ready"
	}
	return said
}

func (d *fullDiskTest) readyz(ctx context.Context) (int, string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+d.node.Addr+"/readyz", nil)
	if err != nil {
		return 0, err.Error()
	}
	status, body := testbed.Do(req)
	return status, strings.TrimSpace(string(body))
}

// recover checks that work continues: a new job is accepted and ends. It
// restarts a beanstalkd that has ended, as a service manager would.
func (d *fullDiskTest) recover(ctx context.Context, freed time.Time) error {
	if !d.beanstalkd.Process.Alive() {
		if err := d.beanstalkd.Up(ctx); err != nil {
			return err
		}
	}
	waiting, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	// Its priority puts the job before those that could not run.
	t := testbed.Task{History: d.bed.History.Path, Pad: 1000}
	probe := d.bed.NewJob(d.rng, "work", t, map[string]any{"priority": 0})
	probe.Answer = t.Answer(probe.ID)
	err := testbed.Until(waiting, 20*time.Millisecond, "a job is taken", func() bool {
		return d.bed.Submit(waiting, d.node, probe) == http.StatusCreated
	})
	if err == nil {
		err = testbed.Until(waiting, 20*time.Millisecond, "it ends", func() bool { return d.bed.GetResult(waiting, d.node, probe, true).Final() })
	}
	d.bed.History.Measure(d.what+": seconds from space to the end of a new job", since(freed, err == nil), 10)
	err = testbed.Until(waiting, 20*time.Millisecond, "ready", func() bool {
		status, _ := d.readyz(waiting)
		return status == http.StatusOK
	})
	d.bed.History.Measure(d.what+": seconds from space to /readyz", since(freed, err == nil), 10)
	return ctx.Err()
}

// fillBinlog fills the space that beanstalkd has reserved, until it refuses
// jobs.
func (d *fullDiskTest) fillBinlog(ctx context.Context) {
	c, err := testbed.DialBeanstalkd(d.beanstalkd.Addr)
	if err != nil {
		d.bed.History.Logf("binlog: beanstalkd takes no connection: %v", err)
		return
	}
	defer c.Close()
	puts := 0
	for body := []byte(strings.Repeat("x", 10_000)); err == nil && puts < 20_000 && ctx.Err() == nil; {
		if err = c.Put("filler", body); err == nil {
			puts++
		}
	}
	status, text := d.readyz(ctx)
	d.bed.History.Logf("binlog: beanstalkd takes %d more jobs of 10 KB, then: %v; /readyz: %d %s", puts, err, status, text)
}

// restart finds out whether beanstalkd starts on a full disk. Version 1.12 does
// not: it reserves a file for its binlog first, and exits if it cannot.
func (d *fullDiskTest) restart(ctx context.Context) {
	d.beanstalkd.Process.Terminate(5 * time.Second)
	if err := d.beanstalkd.Process.Start(); err != nil {
		d.bed.History.Logf("%v", err)
		return
	}
	short, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	does := "answers"
	if d.beanstalkd.Ready(short) != nil {
		does = "does not answer"
		d.beanstalkd.Process.Kill()
	}
	status, text := d.readyz(ctx)
	d.bed.History.Logf("binlog: started again on the full disk, beanstalkd %s, and says: %s; /readyz: %d %s", does, tail(d.beanstalkd.Process.LogFile()), status, text)
}

// tail returns the end of a file.
func tail(path string) string {
	file, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer file.Close()
	if size, err := file.Seek(0, io.SeekEnd); err == nil {
		_, _ = file.Seek(max(0, size-300), io.SeekStart)
	}
	text, _ := io.ReadAll(file)
	return strings.TrimSpace(string(text))
}
