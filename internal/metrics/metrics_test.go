package metrics

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/report"
	"github.com/runnerbean/runnerbean/jobs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var silent = slog.New(slog.DiscardHandler)

// full returns the metrics of a node on which each event happened once.
func full() *Metrics {
	m := New(Config{
		Version: "v1.2.3", Logger: silent,
		Slots:   func() (int, int) { return 4, 3 },
		Streams: func() int { return 7 }, StreamsDropped: func() int64 { return 8 }, FromMemory: func() int64 { return 12 }, LogDropped: func() int64 { return 5 }, Trouble: func() bool { return true },
		Pool: func(context.Context) (Pool, error) {
			return Pool{
				Database: &Database{DeadRows: 70, OldestTransaction: 90 * time.Second, Lag: 3 * time.Second, Size: 1 << 20},
				Counts:   map[jobs.State]int64{jobs.Queued: 2, jobs.Succeeded: 9},
				Queue: api.Queue{Programs: []api.ProgramQueue{
					{Program: "forecast", Queued: 5, Scheduled: 3, Running: 1, Oldest: time.Now().Add(-time.Hour)},
				}},
				Nodes: []api.Node{
					{Name: "n1", Alive: true, Seen: time.Now().Add(-time.Second), Lapses: time.Now().Add(time.Minute)},
					{Name: "n2", Seen: time.Now().Add(-time.Minute)},
					{Name: "n3", Alive: true, Control: api.Control{Paused: true}},
					{Name: "n4", Alive: true, Drained: true},
					{Name: "n5", Alive: true, Seen: time.Now().Add(-time.Minute), Lapses: time.Now()},
				},
			}, nil
		},
		Servers: func(context.Context) []api.Server {
			return []api.Server{
				{Addr: "127.0.0.1:11300", OK: true, Orphaned: []api.OrphanedInbox{{Node: "a", Messages: 2}, {Node: "b", Messages: 3}}, Ready: 5, Reserved: 1, Overdue: 1, Memory: 1 << 20},
				{Addr: "10.0.0.1:11300", Error: "refused"},
			}
		},
		Cache: func() Cache { return Cache{Hits: 21, Misses: 3, Bytes: 500} },
		Disks: func() []api.Disk { return []api.Disk{{Use: "data", Total: 100, Free: 40, Reusable: 6, Floor: 10}} },
	})
	m.Counted("forecast", "records.bad", 3)
	m.Counted("forecast", "records.bad", 0.5)
	m.Ended(attempt("forecast"))
	m.Action("lost", 2)
	m.Webhook("delivered")
	m.Request("/:id", "GET", 200, time.Millisecond)
	m.Ledger("finish", time.Millisecond, nil)
	m.Store("create", time.Millisecond, errors.New("disk full"))
	return m
}

func attempt(program string) report.Attempt {
	start := time.Now()
	return report.Attempt{
		Program: program, Outcome: jobs.OutcomeTimeout, State: jobs.Failed, Queued: start.Add(-2 * time.Second), Start: start,
		Fetch: time.Second, Run: time.Minute, Publish: time.Millisecond, CPU: 3 * time.Second,
	}
}

// scrape returns the metrics as Prometheus reads them.
func scrape(t *testing.T, m *Metrics) string {
	t.Helper()
	server := httptest.NewServer(m.Handler())
	defer server.Close()
	answer, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %v\n%s", answer.Status, err, body)
	}
	return string(body)
}

func wantLines(t *testing.T, text string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains(text, "\n"+line+"\n") {
			name, _, _ := strings.Cut(line, "{")
			t.Errorf("no line %q; there are\n%s", line, strings.Join(regexp.MustCompile(`(?m)^`+regexp.QuoteMeta(name)+`.*$`).FindAllString(text, -1), "\n"))
		}
	}
}

func TestValues(t *testing.T) {
	t.Parallel()
	wantLines(t, scrape(t, full()),
		`runnerbean_ledger_dead_rows 70`, `runnerbean_ledger_oldest_transaction_seconds 90`, `runnerbean_ledger_standby_lag_seconds 3`,
		`runnerbean_jobs_ended_total{class="timeout",program="forecast",state="failed"} 1`,
		`runnerbean_attempts_total{outcome="timeout",program="forecast"} 1`,
		`runnerbean_run_duration_seconds_sum{program="forecast"} 60`,
		`runnerbean_run_duration_seconds_bucket{program="forecast",le="30"} 0`,
		`runnerbean_run_duration_seconds_bucket{program="forecast",le="60"} 1`,
		`runnerbean_queue_wait_seconds_sum{program="forecast"} 2`,
		`runnerbean_run_cpu_seconds_total{program="forecast"} 3`,
		`runnerbean_program_counted_total{counter="records.bad",program="forecast"} 3.5`,
		`runnerbean_slots 4`, `runnerbean_slots_busy 3`, `runnerbean_slots_idle 1`,
		`runnerbean_jobs{state="succeeded"} 9`, `runnerbean_jobs{state="failed"} 0`,
		`runnerbean_queue_jobs{program="forecast",state="running"} 1`,
		`runnerbean_queue_jobs{program="forecast",state="queued"} 2`,
		`runnerbean_queue_jobs{program="forecast",state="scheduled"} 3`,
		`runnerbean_nodes{state="up"} 1`, `runnerbean_nodes{state="paused"} 1`, `runnerbean_nodes{state="drained"} 1`,
		`runnerbean_nodes{state="late"} 1`, `runnerbean_nodes{state="dead"} 1`,
		`runnerbean_reconciler_actions_total{kind="lost"} 2`,
		`runnerbean_beanstalkd_up{server="127.0.0.1:11300"} 1`, `runnerbean_beanstalkd_up{server="10.0.0.1:11300"} 0`,
		`runnerbean_beanstalkd_messages{server="127.0.0.1:11300",state="ready"} 5`,
		`runnerbean_beanstalkd_memory_bytes{server="127.0.0.1:11300"} 1.048576e+06`,
		`runnerbean_beanstalkd_orphaned_messages{server="127.0.0.1:11300"} 5`,
		`runnerbean_http_requests_total{code="2xx",method="GET",route="/:id"} 1`,
		`runnerbean_ledger_errors_total{op="finish"} 0`, `runnerbean_store_errors_total{op="create"} 1`,
		`runnerbean_event_streams 7`, `runnerbean_event_messages_dropped_total 8`, `runnerbean_http_memory_results_total 12`, `runnerbean_log_dropped_total 5`, `runnerbean_node_trouble 1`, `runnerbean_disk_free_bytes{use="data"} 40`, `runnerbean_disk_reusable_bytes{use="data"} 6`,
	)
}

// TestOnlyWhatHappenedCounts checks that a step that did not happen is not counted as a
// step of 0 s.
func TestOnlyWhatHappenedCounts(t *testing.T) {
	t.Parallel()
	m := New(Config{Logger: silent})
	m.Ended(report.Attempt{Program: "p", Outcome: jobs.OutcomeInput, State: jobs.Queued})
	text := scrape(t, m)
	wantLines(t, text, `runnerbean_fetch_duration_seconds_count 0`, `runnerbean_run_duration_seconds_count{program="p"} 0`)
	if strings.Contains(text, "runnerbean_jobs_ended_total{") {
		t.Error("a job that is queued again has ended")
	}
}

func TestLabelsAreBounded(t *testing.T) {
	t.Parallel()
	m := New(Config{
		Logger: silent, Pool: func(context.Context) (Pool, error) {
			var p Pool
			for i := range 300 {
				p.Queue.Programs = append(p.Queue.Programs, api.ProgramQueue{Program: fmt.Sprint("p", i), Queued: 1, Oldest: time.Now().Add(-time.Hour)})
				p.Nodes = append(p.Nodes, api.Node{Name: fmt.Sprint("n", i), Alive: i > 0, Seen: time.Now().Add(-time.Duration(300-i) * time.Second)})
			}
			return p, nil
		},
	})
	for i := range 300 {
		m.Ended(attempt(fmt.Sprint("p", i)))
		for k := range 3 {
			m.Counted(fmt.Sprint("p", i), fmt.Sprint("c", k, "\"\n\xff"), 1)
		}
		m.Ledger(fmt.Sprint("op", i), 1, nil)
		m.Request("/", fmt.Sprint("BREW", i), 200, 1)
	}
	m.Ended(attempt("bad\xff"))
	text := scrape(t, m)
	wantLines(t, text, `runnerbean_attempts_total{outcome="timeout",program="other"} 101`,
		`runnerbean_queue_jobs{program="other",state="queued"} 100`, `runnerbean_http_requests_total{code="2xx",method="other",route="/"} 300`,
		`runnerbean_nodes{state="late"} 299`, `runnerbean_nodes{state="dead"} 1`)
	for prefix, want := range map[string]int{
		"runnerbean_attempts_total{": maxPrograms + 1, "runnerbean_queue_oldest_seconds{": maxPrograms + 1,
		"runnerbean_program_counted_total{":      maxCounters + 34 + 1, // other counters of 34 programs, and other programs
		"runnerbean_node_heartbeat_age_seconds{": maxNodes, "runnerbean_ledger_errors_total{": maxOperations + 1,
	} {
		if n := strings.Count(text, "\n"+prefix); n != want {
			t.Errorf("%s: %d series, want %d", prefix, n, want)
		}
	}
	if !strings.Contains(text, `runnerbean_node_heartbeat_age_seconds{node="n0"}`) {
		t.Error("the node that is silent for the longest is left out")
	}
}

func TestLedgerThatCannotBeRead(t *testing.T) {
	t.Parallel()
	asked := 0
	m := New(Config{Logger: silent, Pool: func(context.Context) (Pool, error) { asked++; return Pool{}, errors.New("disk gone") }})
	text := scrape(t, m)
	wantLines(t, text, `runnerbean_ledger_readable 0`)
	if strings.Contains(text, "\nrunnerbean_jobs{") {
		t.Error("there are counts of jobs that nobody could read")
	}
	scrape(t, m)
	if asked != 1 {
		t.Errorf("the ledger was asked %d times in 5 seconds", asked)
	}
}

func TestNamesAreGood(t *testing.T) {
	t.Parallel()
	problems, err := testutil.GatherAndLint(full().registry)
	if err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
	cmd := exec.Command(promtool(t), "check", "metrics")
	cmd.Stdin = strings.NewReader(scrape(t, full()))
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool: %v\n%s", err, out)
	}
}

func promtool(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		t.Fatal("promtool is not installed: apt-get install prometheus")
	}
	return path
}

// family is one metric of the documentation.
type family struct{ Name, Type, Labels string }

var (
	row  = regexp.MustCompile("(?m)^\\| `(runnerbean_[a-z_]+)` \\| ([a-z]+) \\| ([a-z, ]*?) ?\\|")
	goes = regexp.MustCompile(`^(go_|process_|promhttp_)`)
)

// TestDocumentation checks that docs/monitoring.md lists all metrics and no others.
func TestDocumentation(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/monitoring.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented []family
	for _, m := range row.FindAllStringSubmatch(string(text), -1) {
		labels := strings.Split(m[3], ", ")
		slices.Sort(labels)
		documented = append(documented, family{m[1], m[2], strings.Join(labels, ", ")})
	}
	byName := func(a, b family) int { return strings.Compare(a.Name, b.Name) }
	slices.SortFunc(documented, byName)
	if diff := cmp.Diff(families(t), documented); diff != "" {
		t.Errorf("docs/monitoring.md is not what the node says (- node, + documentation):\n%s", diff)
	}
}

// families returns the metrics of a node. The registry sorts them by name.
func families(t *testing.T) []family {
	t.Helper()
	gathered, err := full().registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var list []family
	for _, f := range gathered {
		if goes.MatchString(f.GetName()) {
			continue
		}
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		list = append(list, family{f.GetName(), strings.ToLower(f.GetType().String()), strings.Join(labels, ", ")})
	}
	return list
}
