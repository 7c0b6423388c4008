package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestMain makes the test binary the program of ModeStream, too.
func TestMain(m *testing.M) {
	if slices.Equal(os.Args[1:], []string{"bench", StreamCommand}) {
		if err := ServeStream(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// TestRunOfAStreamProgram checks that its jobs run.
func TestRunOfAStreamProgram(t *testing.T) {
	report, err := Run(t.Context(), io.Discard, Options{Mode: ModeStream, Jobs: 20, Slots: 2, Rounds: 1, Samples: 1, Idle: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if report.Size != 1<<10 || report.Whole <= 0 || report.Cost.Whole <= 0 || report.Cost.Counts["ledger claim"] < 1 {
		t.Errorf("%+v", report)
	}
}

// TestRun checks that a report has every figure, with few jobs.
func TestRun(t *testing.T) {
	profile := filepath.Join(t.TempDir(), "cpu")
	report, err := Run(t.Context(), io.Discard, Options{
		Mode: ModeRun, Jobs: 20, Slots: 2, Rounds: 2, Samples: 2, Idle: time.Millisecond, CPUProfile: profile,
	})
	if err != nil {
		t.Fatal(err)
	}
	figures := flatten(t, report)
	want := []string{
		"size_bytes", "slots", "jobs", "idle_memory_bytes", "put_to_start.p50_ms", "put_to_start.p99_ms", "put_to_start.max_ms",
		"put_to_start.hops.0.p50_ms", "put_to_start.hops.1.p50_ms", "put_to_start.hops.2.p50_ms", "put_to_start.hops.3.p50_ms", "put_to_start.hops.4.p50_ms",
		"spawn_per_second", "jobs_per_second", "ratio", "rounds.1.spawn_per_second", "rounds.1.jobs_per_second", "rounds.1.spawn_cpu_ms", "rounds.1.cpu_ms",
		"cost.whole_ms", "cost.programs_ms", "cost.spawning_ms", "cost.counts.ledger claim", "cost.counts.ledger accept", "cost.counts.ledger finish",
		"cost.counts.beanstalkd put", "cost.counts.beanstalkd delete", "cost.counts.beanstalkd reserve-with-timeout",
	}
	if runtime.GOOS == "linux" {
		want = append(want, "cost.beanstalkd_ms", "cost.counts.node read calls", "cost.counts.node write calls", "cost.counts.node bytes written",
			"cost.counts.beanstalkd bytes read", "cost.counts.beanstalkd write calls")
	}
	for _, name := range want {
		if figures[name] <= 0 {
			t.Errorf("%s is %v", name, figures[name])
		}
	}
	if claims := figures["cost.counts.ledger claim"]; claims < 1 || claims > 2 {
		t.Errorf("%v claims of a job", claims)
	}
	text, err := os.ReadFile(profile)
	if err != nil || addParts(map[string]time.Duration{}, text) != nil {
		t.Errorf("a profile of %d bytes: %v", len(text), err)
	}
	var printed strings.Builder
	if err := report.Print(&printed); err != nil || !strings.Contains(printed.String(), "beyond spawning") {
		t.Errorf("%v in %s", err, printed.String())
	}
}

// flatten returns the numbers of a report by their paths.
func flatten(t *testing.T, report Report) map[string]float64 {
	text, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	var tree any
	if err := json.Unmarshal(text, &tree); err != nil {
		t.Fatal(err)
	}
	figures := map[string]float64{}
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case float64:
			figures[path[1:]] = v
		case map[string]any:
			for name, inner := range v {
				walk(path+"."+name, inner)
			}
		case []any:
			for i, inner := range v {
				walk(fmt.Sprint(path, ".", i), inner)
			}
		}
	}
	walk("", tree)
	return figures
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	good := Options{Mode: ModeRun, Jobs: 1, Slots: 1, Rounds: 1, Samples: 1}
	for name, change := range map[string]func(*Options){
		"mode": func(o *Options) { o.Mode = "warm" }, "jobs": func(o *Options) { o.Jobs = 0 }, "slots": func(o *Options) { o.Slots = -1 },
		"rounds": func(o *Options) { o.Rounds = 0 }, "samples": func(o *Options) { o.Samples = 0 }, "size": func(o *Options) { o.Size = 1 << 20 },
	} {
		o := good
		change(&o)
		if _, err := Run(t.Context(), io.Discard, o); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestPartsOfAProfile checks that the time of a function is found.
func TestPartsOfAProfile(t *testing.T) {
	parts := map[string]time.Duration{}
	for parts[ownWork] == 0 && t.Context().Err() == nil {
		var p profiler
		p.start()
		for until := cpuTime() + 100*time.Millisecond; cpuTime() < until; {
			continue
		}
		if err := addParts(parts, p.stop()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPartOf(t *testing.T) {
	t.Parallel()
	const module = "github.com/runnerbean/runnerbean/"
	for want, stack := range map[string][]string{
		ownWork:                         {"runtime.mallocgc", module + "internal/queue.(*Producer).PutAll", module + "cmd/runnerbean/internal/bench.(*bencher).throughput"},
		"ledger":                        {"modernc.org/sqlite/lib.Xsqlite3_step", module + "internal/ledger/engine.(*X).Exec", module + "internal/ledger.(*Ledger).write"},
		"garbage collection":            {"runtime.gcAssistAlloc", module + "internal/ledger.(*Ledger).write"},
		"starting and reading programs": {"syscall.forkExec", "os.StartProcess", module + "worker/internal/process.Start"},
		restOfNode:                      {"net/http.(*conn).serve"},
	} {
		if got := partOf(stack); got != want {
			t.Errorf("%v: %s, want %s", stack, got, want)
		}
	}
}

// FuzzProfile checks that no profile makes the parser panic.
func FuzzProfile(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0x12, 6, 0x0a, 1, 1, 0x12, 1, 1})
	f.Add([]byte{0x22, 6, 8, 1, 0x22, 2, 8, 1, 0x2a, 4, 8, 1, 16, 0, 0x32, 1, 'f'})
	f.Fuzz(func(t *testing.T, text []byte) {
		var p parsedProfile
		if p.parse(text) != nil {
			return
		}
		for _, s := range p.samples {
			partOf(p.stack(s))
		}
	})
}

func TestServeStream(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	err := ServeStream(strings.NewReader(`{"id":"a","attempt":1,"input":{"x":[1]}}`+"\n"+`{"id":"b","input":"y"}`+"\n"), &out)
	if want := `{"id":"a","result":{"x":[1]}}` + "\n" + `{"id":"b","result":"y"}` + "\n"; err != nil || out.String() != want {
		t.Errorf("%q, %v", out.String(), err)
	}
	if err := ServeStream(strings.NewReader("no job\n"), io.Discard); err == nil {
		t.Error("a line that is no job is no error")
	}
}
