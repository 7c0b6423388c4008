package bench

import (
	"fmt"
	"io"

	"github.com/runnerbean/runnerbean/internal/text"
)

// Report is what "runnerbean bench" prints.
type Report struct {
	Slots int `json:"slots"`
	// IdleCPU is in percent of one processor, IdleMemory in bytes.
	IdleCPU    float64 `json:"idle_cpu_percent"`
	IdleMemory int64   `json:"idle_memory_bytes"`
	// PutToStart is the time from the put of a job to the first line of its program, on
	// an idle node.
	PutToStart latency `json:"put_to_start"`
	// Spawn is the number of processes per second without a node. Whole is the number of
	// jobs per second from the inbox to a synced result. Both are medians of the rounds.
	Spawn float64 `json:"spawn_per_second"`
	Whole float64 `json:"jobs_per_second"`
	Ratio float64 `json:"ratio"`
}

// latency holds percentiles in milliseconds.
type latency struct {
	P50 float64 `json:"p50_ms"`
	P99 float64 `json:"p99_ms"`
	Max float64 `json:"max_ms"`
}

// Print writes the report as text.
func (r Report) Print(w io.Writer) error {
	_, err := fmt.Fprintf(w, `idle node        %.2f %% of a processor, %s
put to start     p50 %.2f ms, p99 %.2f ms, max %.2f ms
spawn alone      %.0f /s
whole system     %.0f jobs/s with %d slots
ratio            %.2f
`, r.IdleCPU, text.Bytes(r.IdleMemory), r.PutToStart.P50, r.PutToStart.P99, r.PutToStart.Max, r.Spawn, r.Whole, r.Slots, r.Ratio)
	return err
}
