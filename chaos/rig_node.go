package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/runnerbean/runnerbean/chaos/check"
)

// baseURL is what result URLs begin with on every node. Nobody asks for it by
// this name: the rig asks each node in turn.
const baseURL = "http://results.chaos.invalid"

// token is what giving orders to a node with such an address asks for.
const token = "chaos-chaos-chaos-chaos"

// node is a "runnerbean worker".
type node struct {
	*process
	addr string
	data string
}

// place is what nodes share.
type place struct {
	beanstalkd string // address of the server, or of what stands before it
	programs   string // folder
	ledger     string // file; a node's own where it is empty
	store      string // folder; a node's own where it is empty
}

// shared is a place whose ledger, store and programs are in the rig's folder.
func (r *rig) shared(beanstalkd string, programs ...string) (place, error) {
	folder, err := r.install(programs...)
	return place{
		beanstalkd: beanstalkd, programs: folder,
		ledger: filepath.Join(r.dir, "ledger.db"), store: filepath.Join(r.dir, "store"),
	}, err
}

// node makes a node in a place; up starts it. Settings, such as LEASE, are named
// without their prefix.
func (r *rig) node(name string, at place, slots int, settings map[string]string) (*node, error) {
	addr, err := r.port()
	if err != nil {
		return nil, err
	}
	data, err := r.folder(name)
	if err != nil {
		return nil, err
	}
	all := map[string]string{
		"BEANSTALKD": at.beanstalkd, "NODE": name, "DATA": data, "PROGRAMS": at.programs,
		"SLOTS": strconv.Itoa(slots), "LISTEN": addr, "BASE_URL": baseURL, "TOKEN": token, "LOG": "json",
		"GRACE": "1s", "SHUTDOWN_GRACE": "5s", "FETCH_ALLOW": "127.0.0.0/8", "MIN_FREE": "1MiB",
	}
	if at.ledger != "" {
		all["LEDGER"] = "sqlite:" + at.ledger
	}
	if at.store != "" {
		all["STORE"] = "file://" + at.store
	}
	maps.Copy(all, settings)
	env := []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + r.dir, "TMPDIR=" + r.dir,
		clockVariable + "=" + filepath.Join(r.dir, "clock-"+name),
	}
	for _, key := range slices.Sorted(maps.Keys(all)) {
		env = append(env, "RUNNERBEAN_"+key+"="+all[key])
	}
	n := &node{process: r.process(name, r.bin, []string{"worker"}, env), addr: addr, data: data}
	n.slots = slots
	return n, nil
}

// up starts the node and waits until it answers.
func (n *node) up(ctx context.Context) error {
	if err := n.start(); err != nil {
		return err
	}
	return n.ready(ctx)
}

// ready waits until the node answers, if its present life does.
func (n *node) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	pid := n.pid()
	return until(ctx, 10*time.Millisecond, n.name+" answers", func() bool {
		if n.pid() != pid || !n.alive() {
			return true
		}
		if !n.answers(ctx) {
			return false
		}
		n.rig.note(check.Event{What: check.Up, Who: n.name})
		return true
	})
}

func (n *node) answers(ctx context.Context) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.addr+"/healthz", nil)
	if err != nil {
		return false
	}
	answer, err := web.Do(req)
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	io.Copy(io.Discard, io.LimitReader(answer.Body, maxAnswer))
	return answer.StatusCode == http.StatusOK
}

// install puts the rig's own binary under these names into the programs folder:
// each is one of the programs of programs.go.
func (r *rig) install(names ...string) (string, error) {
	folder, err := r.folder("programs")
	if err != nil {
		return "", err
	}
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	// A script of two lines: the node hashes every program at each of its many starts.
	script := fmt.Sprintf("#!/bin/sh\nexec '%s'\n", self)
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(script), 0o755); err != nil {
			return "", err
		}
	}
	return folder, nil
}
