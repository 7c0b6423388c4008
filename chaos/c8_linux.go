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
	"syscall"
	"time"
)

func init() {
	register(scenario{
		name: "c8", title: "the disk of the store, of the ledger, of beanstalkd's binlog is full for a while",
		run: fullDisks,
	})
}

// diskSize is that of each file system, in bytes: beanstalkd takes 10 MiB for a
// file of its binlog, and some of those stay filled.
const diskSize = 96 << 20

// disk is a small file system and a world that has one of its folders on it.
type disk struct {
	rig        *rig
	what       string // store, ledger or binlog
	path       string
	beanstalkd *server
	node       *node
	poll       *poller
	ledger     string
	chance     *rand.Rand
}

// fullDisks fills three disks in three worlds at the same time.
func fullDisks(ctx context.Context, r *rig) error {
	var wait sync.WaitGroup
	whats := []string{"store", "ledger", "binlog"}
	errs := make([]error, len(whats))
	for i, what := range whats {
		wait.Go(func() { errs[i] = r.fullDisk(ctx, what) })
	}
	wait.Wait()
	return errors.Join(errs...)
}

func (r *rig) fullDisk(ctx context.Context, what string) error {
	path, err := r.folder("disk-" + what)
	if err != nil {
		return err
	}
	if err := syscall.Mount("tmpfs", path, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0755", diskSize)); err != nil {
		return fmt.Errorf("cannot mount a tmpfs, for which this must be run by root, or as \"unshare -rm go run ./chaos c8\": %w", err)
	}
	// Processes hold files open in there; with them the file system goes.
	defer func() { _ = syscall.Unmount(path, syscall.MNT_DETACH) }()
	d, err := r.disk(ctx, what, path)
	if err != nil {
		return err
	}
	defer d.poll.close()
	return d.run(ctx)
}

func (r *rig) disk(ctx context.Context, what, path string) (*disk, error) {
	d := &disk{rig: r, what: what, path: path, chance: r.random(what)}
	var err error
	if d.beanstalkd, err = r.beanstalkd("beanstalkd-" + what); err != nil {
		return nil, err
	}
	if what == "binlog" {
		d.beanstalkd.binlog = path
		for i, arg := range d.beanstalkd.args {
			if arg == "-b" {
				d.beanstalkd.args[i+1] = path
			}
		}
	}
	if err := d.beanstalkd.up(ctx); err != nil {
		return nil, err
	}
	folder, err := r.install("work")
	if err != nil {
		return nil, err
	}
	at := place{beanstalkd: d.beanstalkd.addr, programs: folder}
	if what == "store" {
		at.store = path
	}
	if what == "ledger" {
		at.ledger = filepath.Join(path, "ledger.db")
	}
	if d.node, err = r.node("node-"+what, at, 2, map[string]string{"MIN_FREE": "2MiB"}); err != nil {
		return nil, err
	}
	if d.ledger = at.ledger; d.ledger == "" {
		d.ledger = filepath.Join(d.node.data, "ledger.db")
	}
	err = d.node.up(ctx)
	d.poll = r.startPolling(ctx, 2, 5*time.Millisecond, d.node)
	return d, err
}

// run fills the disk again and again while jobs come and go.
func (d *disk) run(ctx context.Context) error {
	r := d.rig
	times, full := pick(r, 3, 1), pick(r, 10*time.Second, 3*time.Second)
	over := time.Duration(times) * (full + 7*time.Second)
	list := make([]*job, pick(r, 600, 160))
	for i := range list {
		list[i] = r.job(d.chance, "work", time.Duration(d.chance.IntN(150))*time.Millisecond, 5000+d.chance.IntN(10_000))
	}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		(&load{rig: r, poll: d.poll, nodes: []*node{d.node}}).submit(ctx, list, over)
	}()
	for range times {
		if !sleep(ctx, 2*time.Second) {
			return ctx.Err()
		}
		if err := d.fill(ctx, full); err != nil {
			return err
		}
	}
	<-sent
	d.poll.settle(ctx, pick(r, time.Minute, 30*time.Second))
	d.poll.close()
	d.poll.sweep(ctx, list)
	damaged := 0.0
	if wrong := integrity(ctx, d.ledger); wrong != "" {
		damaged = 1
		r.say("%s: %s", d.ledger, wrong)
	}
	r.measure(d.what+": ledgers that SQLite finds damaged", damaged, 0)
	return ctx.Err()
}

// fill leaves not a byte on the disk for a while, and gives it back.
func (d *disk) fill(ctx context.Context, full time.Duration) error {
	ballast := filepath.Join(d.path, "ballast")
	stop := make(chan struct{})
	filling := make(chan struct{})
	go func() {
		defer close(filling)
		d.stuff(ballast, stop)
	}()
	began := time.Now()
	if d.what == "binlog" {
		// Beanstalkd's disk may be another machine's; its refusals are what shows.
		d.refused(ctx)
		sleep(ctx, full-time.Since(began))
		d.restart(ctx)
	} else {
		said := d.unready(ctx, 10*time.Second)
		d.rig.say("%s: full, /readyz after %v: %s", d.what, time.Since(began).Round(time.Millisecond), said)
		d.rig.measure(d.what+": seconds until /readyz says that the disk is full", since(began, strings.Contains(said, "RUNNERBEAN_MIN_FREE")), 10)
		sleep(ctx, full-time.Since(began))
	}
	close(stop)
	<-filling
	freed := time.Now()
	if err := os.Remove(ballast); err != nil {
		return err
	}
	return d.recover(ctx, freed)
}

// since is how long ago something was that has happened; a very long time where
// it has not.
func since(t time.Time, happened bool) float64 {
	if !happened {
		return 1e6
	}
	return round(time.Since(t).Seconds())
}

// stuff writes until nothing more goes in, also what others give back, until it
// is told to stop.
func (d *disk) stuff(path string, stop <-chan struct{}) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		d.rig.say("%v", err)
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

// unready waits until the node says that it is not ready, and returns what it says.
func (d *disk) unready(ctx context.Context, most time.Duration) (said string) {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	if err := until(ctx, 50*time.Millisecond, "not ready", func() bool {
		status, text := d.readyz(ctx)
		said = text
		return status == http.StatusServiceUnavailable
	}); err != nil {
		return "it is ready"
	}
	return said
}

func (d *disk) readyz(ctx context.Context) (int, string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+d.node.addr+"/readyz", nil)
	if err != nil {
		return 0, err.Error()
	}
	status, body := answer(req)
	return status, strings.TrimSpace(string(body))
}

// recover sees work go on: a new job is taken and ends. A beanstalkd that has
// ended is started again, as a service manager would.
func (d *disk) recover(ctx context.Context, freed time.Time) error {
	if !d.beanstalkd.alive() {
		if err := d.beanstalkd.up(ctx); err != nil {
			return err
		}
	}
	waiting, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	// It does not wait for the turn of all those that could not run before.
	t := task{History: d.rig.path, Pad: 1000}
	probe := d.rig.jobOf(d.chance, "work", t, map[string]any{"priority": 0})
	probe.answer = t.answer(probe.id)
	err := until(waiting, 20*time.Millisecond, "a job is taken", func() bool {
		return d.rig.post(waiting, d.node, probe) == http.StatusCreated
	})
	if err == nil {
		err = until(waiting, 20*time.Millisecond, "it ends", func() bool { return d.rig.get(waiting, d.node, probe, true).final() })
	}
	d.rig.measure(d.what+": seconds from space to the end of a new job", since(freed, err == nil), 10)
	err = until(waiting, 20*time.Millisecond, "ready", func() bool {
		status, _ := d.readyz(waiting)
		return status == http.StatusOK
	})
	d.rig.measure(d.what+": seconds from space to /readyz", since(freed, err == nil), 10)
	return ctx.Err()
}

// refused uses up the room that beanstalkd has set aside, until it refuses jobs.
func (d *disk) refused(ctx context.Context) {
	c, err := dialBeanstalkd(d.beanstalkd.addr)
	if err != nil {
		d.rig.say("binlog: beanstalkd takes no connection: %v", err)
		return
	}
	defer c.close()
	puts := 0
	for body := []byte(strings.Repeat("x", 10_000)); err == nil && puts < 20_000 && ctx.Err() == nil; {
		if err = c.put("filler", body); err == nil {
			puts++
		}
	}
	status, text := d.readyz(ctx)
	d.rig.say("binlog: beanstalkd takes %d more jobs of 10 KB, then: %v; /readyz: %d %s", puts, err, status, text)
}

// restart finds out whether beanstalkd starts on a full disk. (Version 1.12 does
// not: it sets a file aside for its binlog first, and ends where it cannot.)
func (d *disk) restart(ctx context.Context) {
	d.beanstalkd.term(5 * time.Second)
	if err := d.beanstalkd.start(); err != nil {
		d.rig.say("%v", err)
		return
	}
	short, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	does := "answers"
	if d.beanstalkd.ready(short) != nil {
		does = "does not answer"
		d.beanstalkd.kill()
	}
	status, text := d.readyz(ctx)
	d.rig.say("binlog: started again on the full disk, beanstalkd %s, and says: %s; /readyz: %d %s", does, tail(d.beanstalkd.log()), status, text)
}

// tail is the end of a file.
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
