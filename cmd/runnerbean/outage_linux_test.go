//go:build pool

package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/postgres/postgrestest"
	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
	"github.com/runnerbean/runnerbean/internal/store/bucket/buckettest"
	"github.com/runnerbean/runnerbean/jobs"
)

// outagePatience bounds waits during an outage, where statements may take 30 s to fail.
const outagePatience = 3 * time.Minute

// within is until with more patience.
func (p *process) within(what string, true func() bool) {
	p.t.Helper()
	for deadline := time.Now().Add(outagePatience); !true(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatalf("never came to pass: %s\n%s", what, p.log)
		}
	}
}

// asks returns the status and the text of a page; 0 if there is no answer.
func (p *process) asks(path string) (status int, text string) {
	request, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, p.url+path, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	request.Header.Set("Accept", "text/html, */*;q=0.5")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, err.Error()
	}
	return answer.StatusCode, string(body)
}

// TestPoolOutageOfTheDatabase has a database that is killed, and one that answers nothing. The node says
// why it takes no work, the program that runs goes on, and its end is kept on the node's disk and
// recorded later. No job runs meanwhile, and none runs twice.
func TestPoolOutageOfTheDatabase(t *testing.T) {
	t.Parallel()
	for name, outage := range map[string]struct {
		begin, end func(*postgrestest.Server) error
	}{
		"killed": {func(s *postgrestest.Server) error { s.Crash(); return nil }, (*postgrestest.Server).Run},
		"frozen": {(*postgrestest.Server).Freeze, (*postgrestest.Server).Thaw},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			must := func(err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
			}
			s, err := postgrestest.Start()
			must(err)
			t.Cleanup(s.Stop)
			addr := queuetest.Start(t).Addr
			p := newNode(t, addr)
			p.env = append(p.env, "RUNNERBEAN_LEDGER="+s.URL(""))
			traces := t.TempDir()
			release := filepath.Join(traces, "release")
			p.install("waits", fmt.Sprintf(`echo x >>%s/started; while [ ! -e %s ]; do sleep 0.1; done; cat`, traces, release))
			p.install("leaves", fmt.Sprintf(`echo x >>%s/left; cat`, traces))
			exists := func(name string) bool { _, err := os.Stat(filepath.Join(traces, name)); return err == nil }
			p.start("worker")
			url := p.submit("waits", `{"n":1}`)
			p.until("the program runs", func() bool { return exists("started") })

			must(outage.begin(s))
			p.within("/readyz says why", func() bool {
				status, text := p.asks("/readyz")
				return status == http.StatusServiceUnavailable && strings.Contains(text, "ledger") &&
					(strings.Contains(text, "does not answer in time") || strings.Contains(text, "no server listens there"))
			})
			p.within("the page says why", func() bool {
				status, text := p.asks("/")
				return status == http.StatusServiceUnavailable && strings.Contains(text, "the ledger does not answer")
			})
			id := jobs.NewID()
			putByHand(t, addr, fmt.Sprintf(`{"id":%q,"program":"leaves","input":{"data":2},"result":{"url":"%s/%s"}}`, id, p.url, id))
			must(os.WriteFile(release, nil, 0o644))
			p.within("the end is kept on the node's disk", func() bool {
				kept, err := os.ReadDir(filepath.Join(p.setting("DATA"), "unreported"))
				return err == nil && len(kept) == 1
			})
			if exists("left") {
				t.Error("the node has taken a job")
			}
			if status, text := p.asks("/readyz"); status != http.StatusServiceUnavailable {
				t.Errorf("/readyz: %d %s", status, text)
			}

			must(outage.end(s))
			var result jobs.Result
			p.within("the end is recorded", func() bool {
				result, _ = p.get(url)
				return result.State == jobs.Succeeded
			})
			p.within("the node takes work", func() bool { return exists("left") })
			p.within("/readyz is ready", func() bool { status, _ := p.asks("/readyz"); return status == http.StatusOK })
			p.within("nothing is kept any more", func() bool {
				kept, err := os.ReadDir(filepath.Join(p.setting("DATA"), "unreported"))
				return err == nil && len(kept) == 0
			})
			if started, err := os.ReadFile(filepath.Join(traces, "started")); err != nil || len(started) != len("x\n") {
				t.Errorf("the program was started %d times", len(started)/2)
			}
			// Which part of the node has noticed depends on how long the outage was.
			log := p.log.String()
			if n := strings.Count(log, "cannot read what is drained") + strings.Count(log, "the ledger does not record"); n < 1 || n > 20 {
				t.Errorf("the log says it %d times:\n%s", n, log)
			}
		})
	}
}

// TestPoolFullDiskOfTheDatabase has the tables on a disk that becomes full. Jobs are refused with the
// reason, and accepted once there is room.
func TestPoolFullDiskOfTheDatabase(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Log("only root can mount a disk; TestAway of package postgres has to do")
		return
	}
	s, err := postgrestest.Start()
	if err != nil {
		t.Fatal(err)
	}
	disk := filepath.Join(s.Dir, "disk")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(s.Folder(disk))
	must(syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=32m"))
	t.Cleanup(func() {
		s.Crash()
		_ = syscall.Unmount(disk, 0)
		_ = os.RemoveAll(s.Dir)
	})
	space := filepath.Join(disk, "space")
	must(s.Folder(space))
	must(s.Exec("CREATE TABLESPACE small LOCATION '" + space + "'"))
	p := newNode(t, queuetest.Start(t).Addr)
	p.env = append(p.env, "RUNNERBEAN_LEDGER="+s.URL("")+"&default_tablespace=small&temp_tablespaces=small", "RUNNERBEAN_SLOTS=0")
	p.start("worker")
	document := `{"program":"echo","input":{"data":"` + strings.Repeat("x", 50_000) + `"}}`
	filler := filepath.Join(disk, "filler")
	must(exhaust(filler))
	post := func() (int, string) {
		answer, err := http.Post(p.url+"/api/v1/jobs", "application/json", strings.NewReader(document))
		if err != nil {
			return 0, err.Error()
		}
		defer answer.Body.Close()
		body, _ := io.ReadAll(answer.Body)
		return answer.StatusCode, string(body)
	}
	p.within("a job is refused with the reason", func() bool {
		status, text := post()
		if status != http.StatusCreated && (status != http.StatusServiceUnavailable || !strings.Contains(text, "disk of the ledger's database is full")) {
			t.Fatalf("%d %s", status, text)
		}
		return status == http.StatusServiceUnavailable
	})
	p.within("/readyz says why", func() bool {
		status, text := p.asks("/readyz")
		return status == http.StatusServiceUnavailable && strings.Contains(text, "disk of the ledger's database is full") && strings.Contains(text, "make room")
	})
	p.expect(1, "make room on the disk of the database", "doctor")
	must(os.Remove(filler))
	p.within("a job is accepted again", func() bool { status, _ := post(); return status == http.StatusCreated })
	p.within("/readyz is ready", func() bool { status, _ := p.asks("/readyz"); return status == http.StatusOK })
}

// exhaust fills a disk with a file.
func exhaust(path string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	for block := make([]byte, 1<<16); err == nil; {
		_, err = file.Write(block)
	}
	return nil
}

// TestPoolSecretsOfTheLedgerAndTheStore looks for the password of the ledger and the key of the store where
// people and programs look: pages, API, metrics, log, commands, arguments and environment.
func TestPoolSecretsOfTheLedgerAndTheStore(t *testing.T) {
	s, err := postgrestest.StartTCP()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	if _, err := s.Write("pg_hba.conf", "local all postgres trust\nhost all all all scram-sha-256\n"); err != nil {
		t.Fatal(err)
	}
	if err := s.Exec("SELECT pg_reload_conf()", "CREATE ROLE me LOGIN PASSWORD '"+secret+"'", "CREATE DATABASE me OWNER me"); err != nil {
		t.Fatal(err)
	}
	inMemory := buckettest.Start(t)
	t.Setenv("AWS_SECRET_ACCESS_KEY", secret)
	t.Setenv("PGPASSWORD", secret)
	p := newNode(t, queuetest.Start(t).Addr)
	ledger := fmt.Sprintf("postgres://me:%s@127.0.0.1:%d/me?sslpassword=%[1]s", secret, s.Port)
	p.env = append(p.env, "RUNNERBEAN_LEDGER="+ledger, "RUNNERBEAN_STORE="+inMemory.URL)
	p.install("spies", `env >&2; cat`)
	if out, _, code := p.client("", "help", "config"); code != 0 || strings.Contains(out, secret) {
		t.Errorf("help config: %s", out)
	}
	p.start("worker")
	url := p.submit("spies", "1")
	if r := p.final(url); r.State != jobs.Succeeded {
		t.Fatalf("%+v", r)
	}
	id := idOf(url)
	look := func(where, text string) {
		t.Helper()
		for _, never := range []string{secret, "PGPASSWORD=", "AWS_SECRET_ACCESS_KEY="} {
			if strings.Contains(text, never) {
				t.Errorf("%s has %s:\n%s", where, never, text)
			}
		}
	}
	look("the program's log", p.text("/"+id+"/log"))
	for _, path := range []string{
		"/", "/jobs", "/events", "/nodes", "/nodes/n1", "/programs", "/programs/spies", "/jobs/" + id, "/" + id, "/readyz", "/metrics", "/openapi.json",
		"/api/v1/overview", "/api/v1/nodes", "/api/v1/nodes/n1", "/api/v1/jobs", "/api/v1/jobs/" + id, "/api/v1/events", "/api/v1/programs",
	} {
		look(path, p.text(path))
	}
	for _, args := range [][]string{{"doctor"}, {"doctor", "--json"}, {"nodes"}, {"nodes", "--json"}, {"show", id}, {"logs", id}, {"stats"}, {"migrate"}} {
		out, log, _ := p.client("", args...)
		look(strings.Join(args, " "), out+log)
	}
	arguments, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	look("the list of processes", string(arguments))
	s.Crash() // faults quote what they can
	p.within("the fault is in the log", func() bool { status, text := p.asks("/readyz"); look("/readyz", text); return status != http.StatusOK })
	p.end(syscall.SIGTERM)
	look("the log", p.log.String())
}

// TestPoolTwoPoolsInOneLedger has a second node with another prefix. It ends, and names both settings.
func TestPoolTwoPoolsInOneLedger(t *testing.T) {
	t.Parallel()
	p := newNode(t, queuetest.Start(t).Addr)
	q := p.beside("n2")
	p.start("worker")
	q.env = append(q.env, "RUNNERBEAN_PREFIX=other")
	said := q.refused()
	for _, want := range []string{"the node n1 of this ledger has RUNNERBEAN_PREFIX=runnerbean, and this one other", "RUNNERBEAN_LEDGER"} {
		if !strings.Contains(said, want) {
			t.Errorf("it does not say %q:\n%s", want, said)
		}
	}
	if code := q.cmd.ProcessState.ExitCode(); code != exitUsage {
		t.Errorf("exit code %d", code)
	}
}
