package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/backup"
	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
	"github.com/runnerbean/runnerbean/jobs"
)

// load puts jobs on a node until stop is closed, and returns their URLs.
func (p *process) load(stop <-chan struct{}, stopped *sync.WaitGroup) *[]string {
	var urls []string
	stopped.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
				urls = append(urls, p.submit("echo", fmt.Sprint(n)))
			}
		}
	})
	return &urls
}

// child starts a command of runnerbean beside the node.
func (p *process) child(args ...string) (cmd *exec.Cmd, said *bytes.Buffer) {
	p.t.Helper()
	self, err := os.Executable()
	if err != nil {
		p.t.Fatal(err)
	}
	said = &bytes.Buffer{}
	cmd = exec.Command(self, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = p.env, said, said
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	return cmd, said
}

// killAt kills a command as soon as a condition holds. It returns false if the command
// has ended before.
func (p *process) killAt(cmd *exec.Cmd, what string, holds func() bool) bool {
	p.t.Helper()
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	early := false
	p.until(what, func() bool {
		select {
		case <-ended:
			early = true
			return true
		default:
			return holds()
		}
	})
	_ = cmd.Process.Kill()
	<-ended
	return !early
}

func exists(path string) func() bool {
	return func() bool {
		_, err := os.Stat(path)
		return err == nil
	}
}

// TestBackupUnderLoad saves a node that works, with kills of the backup and of the node,
// and restores the archive in another place, with a kill of the restore. Each job that
// had ended in the archive has its result there, with its digest; the others run. Half of
// the first results are in the ledger, half in the store.
func TestBackupUnderLoad(t *testing.T) {
	t.Parallel()
	server := queuetest.Start(t)
	p := newNode(t, server.Addr)
	p.env = append(p.env, "RUNNERBEAN_LEDGER_RESULTS=1KiB")
	p.start("worker")
	for n := range 40 {
		p.final(p.submit("echo", fmt.Sprintf("%q", strings.Repeat("x", n%2*2000))))
	}
	stop := make(chan struct{})
	var stopped sync.WaitGroup
	p.load(stop, &stopped)
	file := filepath.Join(t.TempDir(), "backup.tar.zst")
	killed, _ := p.child("backup", file)
	p.killAt(killed, "the archive is begun", exists(file+".partial"))
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		t.Log("the backup was complete before it was killed")
	}
	out := p.must("backup", "--json", file)
	close(stop)
	stopped.Wait()
	var saved backup.Summary
	if err := json.Unmarshal([]byte(out), &saved); err != nil || saved.Jobs < 40 || saved.Missing > 0 || saved.Objects < 20 {
		t.Errorf("saved %s, %v", out, err)
	}
	p.must("restore", "--check", file)
	first, digests := p.successes(), map[string][32]byte{}
	for _, id := range first {
		digests[id] = p.digest(id)
	}
	p.end(syscall.SIGKILL)

	q := newNode(t, server.Addr) // with the old messages
	q.url, q.env = p.url, append(q.env, "RUNNERBEAN_LISTEN="+p.setting("LISTEN"), "RUNNERBEAN_URL="+p.url)
	killed, _ = q.child("restore", file)
	q.killAt(killed, "the restore has begun", exists(filepath.Join(q.folder, "data", "store", "restoring")))
	if said, _, code := q.client("", "restore", file); code != 0 && exists(filepath.Join(q.folder, "data", "ledger.db"))() {
		t.Logf("the restore was complete before it was killed: %s", said)
	}
	q.start("worker")
	same := 0
	for _, id := range q.successes() {
		if digest, known := digests[id]; known && digest == q.digest(id) {
			same++
		}
	}
	if same < 40 {
		t.Errorf("%d results are there with their digests", same)
	}
	q.until("all jobs end", func() bool {
		var page api.Overview
		q.api("/api/v1/overview", &page)
		return page.Counts[jobs.Queued]+page.Counts[jobs.Running] == 0
	})
	if out := q.must("retry", "--missing-result", "--all", "--yes"); strings.Contains(out, "queued again") {
		t.Errorf("results are missing: %s", out)
	}
}

// successes returns the ids of the jobs that have succeeded.
func (p *process) successes() (ids []string) {
	p.t.Helper()
	var page api.Page
	for cursor := ""; ; cursor = page.Next {
		page = api.Page{}
		query := "/api/v1/jobs?state=succeeded&limit=1000"
		if cursor != "" {
			query += "&cursor=" + cursor
		}
		p.api(query, &page)
		for _, job := range page.Jobs {
			ids = append(ids, job.ID)
		}
		if page.Next == "" {
			return ids
		}
	}
}

// digest returns the digest of a result as it is served.
func (p *process) digest(id string) [32]byte {
	p.t.Helper()
	answer, err := http.Get(p.url + "/" + id)
	if err != nil {
		p.t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		p.t.Fatalf("result of %s: %d, %v", id, answer.StatusCode, err)
	}
	return sha256.Sum256(body)
}

// TestBackupThroughAPipe saves to standard output and restores from standard input.
func TestBackupThroughAPipe(t *testing.T) {
	t.Parallel()
	p := startWorker(t)
	url := p.submit("echo", "1")
	p.final(url)
	archive, said, code := p.client("", "backup", "-")
	if code != 0 || !strings.Contains(said, "saved the ledger") {
		t.Fatalf("%d: %s", code, said)
	}
	q := newNode(t, queuetest.Start(t).Addr)
	if out, said, code := q.client(archive, "restore", "-"); code != 0 || !strings.Contains(out, "restored the ledger") {
		t.Fatalf("%d: %s%s", code, out, said)
	}
	q.start("worker")
	if ids := q.successes(); len(ids) != 1 || !strings.HasSuffix(url, ids[0]) {
		t.Errorf("successes %v, want %s", ids, url)
	}
	if _, said, code := q.client(archive, "restore", "-"); code == 0 || !strings.Contains(said, "beside no ledger") {
		t.Errorf("a second restore: %d, %s", code, said)
	}
}
