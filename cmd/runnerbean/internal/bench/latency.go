package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/terminal"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/published"
	"github.com/runnerbean/runnerbean/jobs"
)

// latency holds percentiles in milliseconds.
type latency struct {
	P50 float64 `json:"p50_ms"`
	P99 float64 `json:"p99_ms"`
	Max float64 `json:"max_ms"`
	// Hops are the parts of the way, in order. The sum of their medians is not the median.
	Hops []Hop `json:"hops,omitempty"`
}

// Hop is one part of the way of a job.
type Hop struct {
	Name string  `json:"name"`
	P50  float64 `json:"p50_ms"`
	P99  float64 `json:"p99_ms"`
}

// moments are what is known of the way of one job. The ledger's times are those at which the
// transactions of acceptance, claim and end began.
type moments struct{ put, accepted, claimed, called, ended time.Time }

// hops are the names of the parts, and how long each took.
var hops = []struct {
	name string
	took func(m moments) time.Duration
}{
	{"put, reserve, validate", func(m moments) time.Duration { return m.accepted.Sub(m.put) }},
	{"accept, run message, reserve", func(m moments) time.Duration { return m.claimed.Sub(m.accepted) }},
	{"claim, folder, input, start", func(m moments) time.Duration { return m.called.Sub(m.claimed) }},
	{"then to the end of the job", func(m moments) time.Duration { return m.ended.Sub(m.called) }},
}

// latency puts jobs one at a time. It compares the time of each put with the time that the
// program prints, and with those in the ledger.
func (b *bencher) latency(ctx context.Context, programs string, samples int) (latency, error) {
	var all []time.Duration
	parts := make([][]time.Duration, len(hops)+1)
	for range samples {
		m := moments{put: time.Now()}
		job, err := b.client.Enqueue(ctx, jobs.Job{Program: "stamp", Input: jobs.Input{Data: []byte("0")}})
		if err != nil {
			return latency{}, err
		}
		if err := b.follow(ctx, job.ID, &m); err != nil {
			return latency{}, err
		}
		alone, err := startAlone(ctx, filepath.Join(programs, "stamp"))
		if err != nil {
			return latency{}, err
		}
		all = append(all, m.called.Sub(m.put))
		for i, h := range hops {
			parts[i] = append(parts[i], h.took(m))
		}
		parts[len(hops)] = append(parts[len(hops)], alone)
	}
	l := latency{P50: quantile(all, 0.5), P99: quantile(all, 0.99), Max: quantile(all, 1)}
	for i, p := range parts {
		name := "start of the program alone"
		if i < len(hops) {
			name = hops[i].name
		}
		l.Hops = append(l.Hops, Hop{name, quantile(p, 0.5), quantile(p, 0.99)})
	}
	return l, nil
}

// quantile returns a quantile in milliseconds. It sorts took.
func quantile(took []time.Duration, q float64) float64 {
	slices.Sort(took)
	return milliseconds(took[min(int(q*float64(len(took))), len(took)-1)])
}

// follow waits until a job has succeeded, and fills in what happened when.
func (b *bencher) follow(ctx context.Context, id string, m *moments) error {
	for {
		record, err := b.node.Ledger().Get(ctx, id)
		if err == nil && record.State == jobs.Succeeded {
			return b.read(ctx, record, m)
		}
		if record.State.Final() {
			return fmt.Errorf("job %s: %s", id, terminal.JobError(record.Error))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-b.ended:
		case <-time.After(time.Second):
		}
	}
}

func (b *bencher) read(ctx context.Context, r ledger.Record, m *moments) error {
	document, err := published.New(b.node.Ledger().Results, b.node.Store()).Open(ctx, r.ID)
	if err != nil {
		return err
	}
	defer document.Close()
	var result jobs.Result
	if err := json.NewDecoder(document).Decode(&result); err != nil {
		return err
	}
	m.accepted, m.claimed, m.ended = r.Accepted, r.Started, r.Finished
	m.called, err = stamped(string(result.Result))
	return err
}

// startAlone starts the program stamp without a node, and returns how long it took to its
// first system call.
func startAlone(ctx context.Context, path string) (time.Duration, error) {
	began := time.Now()
	printed, err := exec.CommandContext(ctx, path).Output()
	if err != nil {
		return 0, err
	}
	called, err := stamped(string(printed))
	return called.Sub(began), err
}

// stamped reads what the program stamp has printed.
func stamped(printed string) (time.Time, error) {
	nanos, err := strconv.ParseInt(strings.TrimSpace(printed), 10, 64)
	return time.Unix(0, nanos), err
}

func (l latency) print(b *strings.Builder) {
	fmt.Fprintf(b, "put to start     p50 %.2f ms, p99 %.2f ms, max %.2f ms\n", l.P50, l.P99, l.Max)
	for _, h := range l.Hops {
		fmt.Fprintf(b, "  %-30s p50 %.2f ms, p99 %.2f ms\n", h.Name, h.P50, h.P99)
	}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
