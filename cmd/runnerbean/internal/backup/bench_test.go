package backup

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/storepair"
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

// BenchmarkBackupUnderLoad saves a ledger of 200,000 jobs while another process would
// accept jobs in it as fast as it can. It reports how long the copy of the ledger takes
// and how many jobs are accepted meanwhile.
func BenchmarkBackupUnderLoad(b *testing.B) {
	p := &pool{Settings: place(b), t: b}
	must(b, ledgertest.FillEnded(b.Context(), p.LedgerPath(), 200_000))
	l, err := ledger.Open(b.Context(), ledger.Config{DSN: p.Ledger})
	must(b, err)
	defer l.Close()
	s, err := store.Open(p.Store)
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
				job, err := jobs.Read([]byte(document))
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
