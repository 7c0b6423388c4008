package publish

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/jobs"
)

// BenchmarkPublish composes results of 10 KiB for the ledger.
func BenchmarkPublish(b *testing.B) {
	dir := b.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "out"), 0o700); err != nil {
		b.Fatal(err)
	}
	run := &Run{
		ProgramSHA256: string(bytes.Repeat([]byte("a"), 64)), Dir: dir, Log: io.Discard, Alive: b.Context(),
		Stdout: []byte(`{"a":"` + string(bytes.Repeat([]byte("x"), 10<<10)) + `"}` + "\n"),
		Check:  func(context.Context) error { return nil },
	}
	cfg := &Config{Node: "node1", BaseURL: "http://node.example", LedgerResults: 64 << 10}
	logger := slog.New(slog.DiscardHandler)
	id := jobs.NewID()
	job := jobs.Job{ID: id, Program: "cat", Created: time.Now(), Result: jobs.Target{URL: cfg.BaseURL + "/" + id}}
	record := &ledger.Record{ID: id, Program: "cat", Attempt: 1, Started: time.Now()}
	b.ReportAllocs()
	for b.Loop() {
		p := New(cfg, record, logger)
		p.Job = &job
		if err := p.Publish(b.Context(), run); err != nil || len(p.Result()) < 10<<10 {
			b.Fatalf("%d bytes, %v", len(p.Result()), err)
		}
	}
}
