package testbed

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

// baseURL starts the result URLs of every node. It is never resolved: requests
// go to each node in turn.
const baseURL = "http://results.chaos.invalid"

// Node is a "runnerbean worker".
type Node struct {
	Process *Process
	Addr    string
	Data    string
}

// Shared is what several nodes share.
type Shared struct {
	Beanstalkd string // address of the server or of a proxy
	Programs   string // folder
	Ledger     string // file; "" for one of the node's own
	Store      string // folder; "" for one of the node's own
}

// NewShared returns a ledger, a store and programs in the testbed's folder.
func (bed *Testbed) NewShared(beanstalkd string, programs ...string) (Shared, error) {
	folder, err := bed.InstallPrograms(programs...)
	return Shared{
		Beanstalkd: beanstalkd, Programs: folder,
		Ledger: filepath.Join(bed.Dir, "ledger.db"), Store: filepath.Join(bed.Dir, "store"),
	}, err
}

// NewNode returns a node that is not started. The names of settings, such as
// LEASE, have no prefix.
func (bed *Testbed) NewNode(name string, at Shared, slots int, settings map[string]string) (*Node, error) {
	addr, err := bed.Addr(name)
	if err != nil {
		return nil, err
	}
	data, err := bed.Folder(name)
	if err != nil {
		return nil, err
	}
	all := map[string]string{
		"BEANSTALKD": at.Beanstalkd, "NODE": name, "DATA": data, "PROGRAMS": at.Programs,
		"SLOTS": strconv.Itoa(slots), "LISTEN": addr, "BASE_URL": baseURL, "TOKEN": token, "LOG": "json",
		"GRACE": "1s", "SHUTDOWN_GRACE": "5s", "FETCH_ALLOW": "127.0.0.0/8", "MIN_FREE": "1MiB",
	}
	if at.Ledger != "" {
		all["LEDGER"] = "sqlite:" + at.Ledger
	}
	if at.Store != "" {
		all["STORE"] = "file://" + at.Store
	}
	maps.Copy(all, settings)
	env := []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + bed.Dir, "TMPDIR=" + bed.Dir,
		clockVariable + "=" + filepath.Join(bed.Dir, "clock-"+name),
	}
	for _, key := range slices.Sorted(maps.Keys(all)) {
		env = append(env, "RUNNERBEAN_"+key+"="+all[key])
	}
	n := &Node{Process: bed.process(name, bed.Bin, []string{"worker"}, env), Addr: addr, Data: data}
	n.Process.slots = slots
	return n, nil
}

// Up starts the node and waits until it answers.
func (n *Node) Up(ctx context.Context) error {
	if err := n.Process.Start(); err != nil {
		return err
	}
	return n.Ready(ctx)
}

// Ready waits until the node answers. It also returns if the node ends or is
// started again meanwhile.
func (n *Node) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	pid := n.Process.PID()
	return Until(ctx, 10*time.Millisecond, n.Process.Name+" answers", func() bool {
		if n.Process.PID() != pid || !n.Process.Alive() {
			return true
		}
		if !n.Healthy(ctx) {
			return false
		}
		n.Process.bed.History.Note(check.Event{What: check.Up, Who: n.Process.Name})
		return true
	})
}

// Healthy reports whether /healthz answers with 200.
func (n *Node) Healthy(ctx context.Context) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.Addr+"/healthz", nil)
	if err != nil {
		return false
	}
	answer, err := HTTPClient.Do(req)
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	io.Copy(io.Discard, io.LimitReader(answer.Body, maxAnswer))
	return answer.StatusCode == http.StatusOK
}

// InstallPrograms puts this binary into the programs folder under these names,
// and returns the folder.
func (bed *Testbed) InstallPrograms(names ...string) (string, error) {
	folder, err := bed.Folder("programs")
	if err != nil {
		return "", err
	}
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	// The program is a short script because a node hashes every program at each
	// start.
	script := fmt.Sprintf("#!/bin/sh\nexec '%s'\n", self)
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(script), 0o755); err != nil {
			return "", err
		}
	}
	return folder, nil
}
