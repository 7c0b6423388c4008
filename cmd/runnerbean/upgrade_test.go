package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/node"
	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
	"github.com/runnerbean/runnerbean/jobs"
)

// oldJob is a job of an old ledger.
type oldJob struct {
	ID        string
	State     jobs.State
	Attempt   int
	Data      string // its input, and the result of all programs of the fixtures
	NotBefore int64
}

// putOldLedger makes the data folder of a node of an older program. testdata/upgrade has
// ledger and store of nodes that were killed: of commit 01e0af4 for schema 1, 3ea2163 for
// schema 2. The ledger of a later schema is that of schema 2 after its migrations. It
// returns the jobs.
func putOldLedger(t *testing.T, p *process, version int) (list []oldJob) {
	t.Helper()
	const newest = 2 // of the folders
	folder := fmt.Sprintf("testdata/upgrade/schema-%d", min(version, newest))
	if err := os.CopyFS(p.setting("DATA"), os.DirFS(folder)); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(folder, "ledger.sql"))
	if err != nil {
		t.Fatal(err)
	}
	db := p.openLedger()
	if _, err := db.Exec(string(text)); err != nil {
		t.Fatal(err)
	}
	for n := newest + 1; n <= version; n++ {
		names, err := filepath.Glob(fmt.Sprintf("../../internal/ledger/sqlite/migrations/%04d_*.sql", n))
		if err != nil || len(names) != 1 {
			t.Fatal(names, err)
		}
		text, err := os.ReadFile(names[0])
		if err != nil {
			t.Fatal(err)
		}
		words := strings.NewReplacer("/*sqlite:", "", "*/", "") // as the ledger reads it
		if _, err := db.Exec(words.Replace(string(text))); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := db.Exec(fmt.Sprintf("PRAGMA journal_mode = WAL; UPDATE schema_version SET version = %d", version)); err != nil {
		t.Fatal(err)
	}
	rows, err := db.Query("SELECT id, state, attempt, not_before, json_extract(CAST(document AS TEXT), '$.input.data') FROM jobs JOIN documents USING (id)")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var j oldJob
		if err := rows.Scan(&j.ID, &j.State, &j.Attempt, &j.NotBefore, &j.Data); err != nil {
			t.Fatal(err)
		}
		list = append(list, j)
	}
	return list
}

// openLedger opens the file of the node's ledger as another process would.
func (p *process) openLedger() *sql.DB {
	p.t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(p.setting("DATA"), "ledger.db")+"?_pragma=busy_timeout(10000)")
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = db.Close() })
	return db
}

// Every job of an old ledger ends as it was promised: those that were queued, running or
// waiting succeed, those that had ended stay as they were, and a scheduled one waits.
func TestJobsOfOldLedgersKeepTheirPromises(t *testing.T) {
	t.Parallel()
	for _, version := range []int{1, 2, 5} { // 5 is the last without results in the ledger
		t.Run(fmt.Sprint("schema ", version), func(t *testing.T) {
			t.Parallel()
			p := newNode(t, queuetest.Start(t).Addr)
			p.env = append(p.env, "RUNNERBEAN_BASE_URL=https://results.example", "RUNNERBEAN_LEASE=1s")
			p.install("hangs", "cat") // it hung in the old node
			list := putOldLedger(t, p, version)
			if len(list) != 11 {
				t.Fatalf("%d jobs", len(list))
			}
			p.launch("worker") // first it waits to see that the old node is dead
			p.until("it waits", func() bool {
				return strings.Contains(p.log.String(), "which nodes are alive: node old (version (devel))")
			})
			p.until("it is up", func() bool { return strings.Contains(p.log.String(), "node is up") })
			for _, j := range list {
				checkPromise(t, p, j)
			}
			if _, err := os.Stat(filepath.Join(p.setting("DATA"), fmt.Sprintf("ledger.db.schema-%d", version))); err != nil {
				t.Error(err)
			}
		})
	}
}

func checkPromise(t *testing.T, p *process, j oldJob) {
	t.Helper()
	url, want := p.url+"/"+j.ID, jobs.Succeeded
	switch {
	case j.State.Final():
		want = j.State
	case j.NotBefore > time.Now().UnixMicro():
		if r, ok := p.get(url); !ok || r.State != jobs.Queued || r.Attempt != 0 || r.NotBefore.UnixMicro() != j.NotBefore {
			t.Errorf("scheduled: %+v", r)
		}
		return
	}
	r := p.final(url)
	attempt := j.Attempt
	if !j.State.Final() {
		attempt++
	}
	result, _ := json.Marshal(j.Data)
	if r.State != want || r.Attempt != attempt || want == jobs.Succeeded && string(r.Result) != string(result) {
		t.Errorf("%q was %s in attempt %d; now %s in attempt %d with %s; want %s in %d", j.Data, j.State, j.Attempt, r.State, r.Attempt, r.Result, want, attempt)
	}
}

// A node leaves for an upgrade that its program cannot do: it takes no more work, finishes
// what it runs, and says why. A restart is refused until the upgrade is done.
func TestNodeLeavesForAnUpgrade(t *testing.T) {
	t.Parallel()
	p := newNode(t, queuetest.Start(t).Addr)
	p.env = append(p.env, "RUNNERBEAN_LEASE=4s") // a heartbeat a second
	gate := filepath.Join(t.TempDir(), "open")
	p.install("gated", "until [ -e "+gate+" ]; do sleep 0.02; done; cat")
	p.start("worker")
	running := p.submit("gated", "1")
	p.until("it runs", func() bool { r, _ := p.get(running); return r.State == jobs.Running })
	db := p.openLedger()
	defer renewWish(t, db)()
	p.until("/readyz says why", func() bool {
		return strings.Contains(p.text503("/readyz"), "node n2 waits to upgrade the ledger to schema 99")
	})
	if r, _ := p.get(running); r.State != jobs.Running {
		t.Errorf("state %s of what ran, before its end", r.State)
	}
	if answer, body := p.post("echo"); answer.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("it accepts jobs: %s\n%s", answer.Status, body)
	}
	if err := os.WriteFile(gate, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	p.until("it has left", func() bool { return p.ended() })
	if code := p.cmd.ProcessState.ExitCode(); code != exitSchema {
		t.Errorf("exit code %d, want %d\n%s", code, exitSchema, p.log)
	}
	var state string
	var left, events int
	if err := errors.Join(
		db.QueryRow("SELECT state FROM jobs").Scan(&state), db.QueryRow("SELECT COUNT(*) FROM nodes WHERE left_at > 0").Scan(&left),
		db.QueryRow("SELECT COUNT(*) FROM events WHERE kind = 'upgrade' AND node = 'n1'").Scan(&events),
	); err != nil || state != "succeeded" || left != 1 || events != 1 {
		t.Errorf("job %s, %d nodes have left, %d events, %v", state, left, events, err)
	}
	if _, log, code := p.client("", "worker"); code != exitSchema || !strings.Contains(log, "about to be upgraded to schema 99 by node n2") {
		t.Errorf("started again: exit code %d\n%s", code, log)
	}
}

// renewWish does what a newer program does while it waits to upgrade the ledger.
func renewWish(t *testing.T, db *sql.DB) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(200 * time.Millisecond)
		defer ticker.Stop()
		for n := 1; ; n++ {
			if _, err := db.Exec(`INSERT INTO upgrade (one, version, asker, renewed) VALUES (1, 99, 'node n2', ?)
				ON CONFLICT (one) DO UPDATE SET renewed = excluded.renewed`, n); err != nil {
				t.Error(err)
			}
			select {
			case <-ticker.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() { cancel(); <-done }
}

// text503 returns the body of a path that answers 503, else nothing.
func (p *process) text503(path string) string {
	p.t.Helper()
	answer, err := http.Get(p.url + path)
	if err != nil {
		return ""
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusServiceUnavailable {
		return ""
	}
	body, _ := io.ReadAll(answer.Body)
	return string(body)
}

// ended reports whether the process has ended.
func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// A node whose ledger was upgraded under it ends, records nothing more, and does not beat.
func TestNodeEndsWhenItsLedgerIsTooNew(t *testing.T) {
	t.Parallel()
	p := newNode(t, queuetest.Start(t).Addr)
	p.env = append(p.env, "RUNNERBEAN_LEASE=4s")
	p.start("worker")
	running := p.submit("hangs", "1")
	p.until("it runs", func() bool { r, _ := p.get(running); return r.State == jobs.Running })
	db := p.openLedger()
	if _, err := db.Exec("UPDATE schema_version SET version = 99; UPDATE nodes SET beat = 7"); err != nil {
		t.Fatal(err)
	}
	p.until("it has ended", func() bool { return p.ended() })
	if code := p.cmd.ProcessState.ExitCode(); code != exitSchema || !strings.Contains(p.log.String(), "the ledger was upgraded under this node") {
		t.Errorf("exit code %d\n%s", code, p.log)
	}
	var beat int
	var state string
	if err := db.QueryRow("SELECT beat, state FROM nodes JOIN jobs USING (instance)").Scan(&beat, &state); err != nil || beat != 7 || state != "running" {
		t.Errorf("beat %d, job %s, %v: something was written", beat, state, err)
	}
	if _, log, code := p.client("", "worker"); code != exitSchema || !strings.Contains(log, "it has schema 99") {
		t.Errorf("started again: exit code %d\n%s", code, log)
	}
}

// migrate names a living old node and changes nothing; with --wait it upgrades after the
// end of the node; the second time it has nothing to do.
func TestMigrateCommand(t *testing.T) {
	t.Parallel()
	p := newNode(t, queuetest.Start(t).Addr)
	putOldLedger(t, p, 2)
	db := p.openLedger()
	ctx, kill := context.WithCancel(t.Context())
	defer kill()
	go func() { // the old node
		for ctx.Err() == nil {
			_, _ = db.Exec("UPDATE nodes SET beat = beat + 1")
			time.Sleep(50 * time.Millisecond)
		}
	}()
	p.expect(exitSchema, "cannot follow; stop them, then try again: node old (version (devel))", "migrate")
	if out := p.expect(0, "! ledger", "doctor"); !strings.Contains(out, "schema 2") || !strings.Contains(out, "node old (version (devel))") {
		t.Errorf("doctor: %s", out)
	}
	p.launch("migrate", "--wait", "10m", "--json")
	p.until("it waits", func() bool {
		return strings.Contains(p.log.String(), "cannot follow an upgrade: node old (version (devel))")
	})
	kill()
	p.until("it has upgraded", func() bool { return p.ended() })
	_, text, _ := strings.Cut(p.log.String(), "{")
	var done node.Migration
	file := filepath.Join(p.setting("DATA"), "ledger.db")
	want := node.Migration{Ledger: file, Before: 2, After: done.After, Backup: file + ".schema-2"}
	err := json.Unmarshal([]byte("{"+text), &done)
	if want.After = done.After; err != nil || done != want || done.After < 5 {
		t.Errorf("%+v, %v, want %+v\n%s", done, err, want, p.log)
	}
	p.expect(0, "already", "migrate")
	p.expect(0, "✓ ledger", "doctor")
}

// Root's migrate works with the settings and as the user of the systemd service, so that
// the node can use all files that it makes. Without a service it refuses to be another
// user than the owner of the ledger.
func TestMigrateWorksAsTheService(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root may become another user")
	}
	p := newNode(t, "127.0.0.1:9")
	putOldLedger(t, p, 2)
	data := p.setting("DATA")
	if _, err := p.openLedger().Exec("UPDATE nodes SET left_at = 1; PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
		t.Fatal(err)
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(nobody.Uid)
	gid, _ := strconv.Atoi(nobody.Gid)
	for dir := data; dir != filepath.Dir(os.TempDir()) && dir != os.TempDir(); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := filepath.WalkDir(data, func(path string, _ fs.DirEntry, err error) error { return errors.Join(err, os.Chown(path, uid, gid)) }); err != nil {
		t.Fatal(err)
	}
	p.expect(exitUsage, "belongs to nobody: run this as that user", "migrate")
	units := t.TempDir()
	write(t, filepath.Join(units, "runnerbean.service"), "[Service]\nUser=nobody\nEnvironment=RUNNERBEAN_DATA="+data+"\n")
	p.env = append(withoutSettings(), asRunnerbean+"=1", unitsIn+"="+units)
	p.expect(0, "was upgraded from schema 2", "migrate")
	if err := filepath.WalkDir(data, func(path string, entry fs.DirEntry, err error) error {
		if info, fault := entry.Info(); fault != nil || int(info.Sys().(*syscall.Stat_t).Uid) != uid {
			t.Errorf("%s belongs to another user: %v", path, fault)
		}
		return err
	}); err != nil {
		t.Error(err)
	}
}
