package backup

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/storepair"
	"github.com/runnerbean/runnerbean/internal/jobdoc"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/ledgertest"
	"github.com/runnerbean/runnerbean/internal/ledger/sqlite"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
)

// BenchmarkBackup saves and checks 10,000 jobs.
func BenchmarkBackup(b *testing.B) {
	p := newPool(b, 10_000)
	for b.Loop() {
		archive, s := p.archive()
		b.SetBytes(s.Bytes)
		if _, err := Check(b.Context(), bytes.NewReader(archive), silent); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkBackupOfLargeLedger saves a ledger whose results of 10 KiB are in it.
// BENCH_JOBS is the number of jobs.
func BenchmarkBackupOfLargeLedger(b *testing.B) {
	n, err := strconv.Atoi(cmp.Or(os.Getenv("BENCH_JOBS"), "1000"))
	must(b, err)
	p := &pool{Settings: place(b), t: b}
	must(b, ledgertest.FillResults(b.Context(), p.LedgerPath(), n))
	l, err := ledger.Open(b.Context(), ledger.Config{DSN: p.Ledger})
	must(b, err)
	s, err := store.Open(context.Background(), p.Store)
	must(b, err)
	_, err = storepair.Claim(b.Context(), l, s)
	must(b, errors.Join(err, s.Close(), l.Close()))
	info, err := os.Stat(p.LedgerPath())
	must(b, err)
	file := filepath.Join(b.TempDir(), "archive")
	b.Run("write", func(b *testing.B) {
		for b.Loop() {
			saved, err := Write(b.Context(), Options{Settings: p.Settings, File: file, Progress: silent})
			must(b, err)
			if saved.Missing > 0 {
				b.Fatalf("%d results are missing", saved.Missing)
			}
		}
		archive, err := os.Stat(file)
		must(b, err)
		b.ReportMetric(float64(info.Size())/1e6, "ledger-MB")
		b.ReportMetric(float64(archive.Size())/1e6, "archive-MB")
	})
	b.Run("restore", func(b *testing.B) {
		for b.Loop() {
			archive, err := os.Open(file)
			must(b, err)
			_, err = Restore(b.Context(), place(b), archive, "", silent)
			must(b, errors.Join(err, archive.Close()))
		}
	})
}

// BenchmarkBackupUnderLoad saves a ledger of 200,000 jobs while another process would
// accept jobs in it as fast as it can. It reports how long the copy of the ledger takes
// and how many jobs are accepted meanwhile.
func BenchmarkBackupUnderLoad(b *testing.B) {
	p := &pool{Settings: place(b), t: b}
	must(b, ledgertest.FillEnded(b.Context(), p.LedgerPath(), 200_000))
	l, err := ledger.Open(b.Context(), ledger.Config{DSN: p.Ledger})
	must(b, err)
	defer l.Close()
	s, err := store.Open(context.Background(), p.Store)
	must(b, err)
	defer s.Close()
	must(b, s.SetIdentity(store.NewIdentity(l.ID()))) // its results are missing, which costs a look each
	_, err = storepair.Claim(b.Context(), l, s)
	must(b, err)
	info, err := os.Stat(p.LedgerPath())
	must(b, err)
	b.ReportMetric(float64(info.Size())/1e6, "MB")
	var accepted atomic.Int64
	stop := make(chan struct{})
	var writers sync.WaitGroup
	for range 8 {
		writers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				id := jobs.NewID()
				document := fmt.Sprintf(`{"id":%q,"program":"echo","input":{"data":1},"result":{"url":"http://h/%s"}}`, id, id)
				job, err := jobdoc.Read([]byte(document))
				if err == nil {
					_, err = l.Accept(b.Context(), []ledger.Entry{{Job: job, Document: []byte(document)}})
				}
				if err != nil {
					b.Error(err)
					return
				}
				accepted.Add(1)
			}
		})
	}
	var copying time.Duration
	before, began := accepted.Load(), time.Now()
	for b.Loop() {
		start := time.Now()
		_, err := sqlite.CopyTo(b.Context(), p.LedgerPath(), filepath.Join(b.TempDir(), "copy"))
		must(b, err)
		copying += time.Since(start)
		_, err = Write(b.Context(), Options{Settings: p.Settings, Out: io.Discard, Progress: silent})
		must(b, err)
	}
	b.ReportMetric(copying.Seconds()/float64(b.N), "s/copy")
	b.ReportMetric(float64(accepted.Load()-before)/time.Since(began).Seconds(), "accepted/s")
	close(stop)
	writers.Wait()
}
