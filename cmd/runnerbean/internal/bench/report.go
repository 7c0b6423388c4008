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
	// PutToStart is from the put of a job to its program's first line, on an
	// idle node.
	PutToStart latency `json:"put_to_start"`
	// Spawn is how many processes per second are started alone, Whole how many
	// jobs per second go from inbox to a synced result; medians of the rounds.
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

// Print writes the report for people.
func (r Report) Print(w io.Writer) error {
	_, err := fmt.Fprintf(w, `idle node        %.2f %% of a processor, %s
put to start     p50 %.2f ms, p99 %.2f ms, max %.2f ms
spawn alone      %.0f /s
whole system     %.0f jobs/s with %d slots
ratio            %.2f
`, r.IdleCPU, text.Bytes(r.IdleMemory), r.PutToStart.P50, r.PutToStart.P99, r.PutToStart.Max, r.Spawn, r.Whole, r.Slots, r.Ratio)
	return err
}
