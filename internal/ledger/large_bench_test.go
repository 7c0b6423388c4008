package ledger_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/ledgertest"
	"github.com/runnerbean/runnerbean/jobs"
)

// BenchmarkLargeLedger runs jobs with results of 10 KiB, eight at a time, in ledgers that
// have many ended jobs with such results. It reports how long each operation takes with
// its commit and its sync, while the log is copied to the file. sizesEnv lists the sizes.
func BenchmarkLargeLedger(b *testing.B) {
	for size := range strings.SplitSeq(os.Getenv(sizesEnv), ",") {
		n, err := strconv.Atoi(size)
		if err != nil {
			n = 1000
		}
		b.Run(strconv.Itoa(n), func(b *testing.B) { benchLarge(b, n) })
	}
}

func benchLarge(b *testing.B, n int) {
	path := filepath.Join(b.TempDir(), "ledger.db")
	if err := ledgertest.FillResults(b.Context(), path, n); err != nil {
		b.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	l, err := ledger.Open(b.Context(), ledger.Config{DSN: "sqlite:" + path})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	b.Run("jobs", func(b *testing.B) {
		benchJobs(b, l, path)
		b.ReportMetric(float64(info.Size())/1e6, "file-MB")
	})
	for _, c := range readCases(b, l) {
		b.Run(c.name, func(b *testing.B) { benchRead(b, c.read) })
	}
}

// benchJobs runs jobs in the ledger at a path.
func benchJobs(b *testing.B, l *ledger.Ledger, path string) {
	var left atomic.Int64
	left.Store(int64(b.N))
	runners := make([]runner, 8)
	var log atomic.Int64 // the greatest length
	b.ResetTimer()
	var all sync.WaitGroup
	for i := range runners {
		r := &runners[i]
		r.b, r.ledger, r.took = b, l, map[string][]time.Duration{}
		all.Go(func() {
			for left.Add(-1) >= 0 && r.job() {
				if info, err := os.Stat(path + "-wal"); err == nil && info.Size() > log.Load() {
					log.Store(info.Size())
				}
			}
		})
	}
	all.Wait()
	b.StopTimer()
	for _, op := range []string{"accept", "claim", "finish"} {
		var took []time.Duration
		for _, r := range runners {
			took = append(took, r.took[op]...)
		}
		slices.Sort(took)
		for name, at := range map[string]int{"p50": len(took) / 2, "p99": len(took) * 99 / 100, "max": len(took) - 1} {
			b.ReportMetric(took[at].Seconds()*1e3, op+"-"+name+"-ms")
		}
	}
	b.ReportMetric(float64(log.Load())/1e6, "log-MB")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
}

// runner runs one job after the other.
type runner struct {
	b      *testing.B
	ledger *ledger.Ledger
	took   map[string][]time.Duration
}

// job accepts, claims and finishes a job. It returns false after an error.
func (r *runner) job() bool {
	id, ctx := jobs.NewID(), r.b.Context()
	random := make([]byte, 5000)
	for i := range random {
		random[i] = byte(rand.Uint32())
	}
	document := fmt.Appendf(nil, `{"id":%q,"attempt":1,"result":"%s"}`, id, hex.EncodeToString(random))
	input := bytes.Repeat([]byte("1"), 1000)
	for _, step := range []struct {
		op string
		do func() error
	}{
		{"accept", func() error {
			_, err := r.ledger.Accept(ctx, []ledger.Entry{{Job: jobs.Job{ID: id, Program: "program1"}, Document: input}})
			return err
		}},
		{"claim", func() error {
			claim, err := r.ledger.Claim(ctx, id, ledger.Owner{Instance: "instance1", Node: "node1"}, "abc")
			if err == nil && !claim.OK {
				err = fmt.Errorf("no claim: %+v", claim)
			}
			return err
		}},
		{"finish", func() error {
			_, err := r.ledger.Finish(ctx, id, 1, ledger.Ending{Outcome: jobs.OutcomeSucceeded, State: jobs.Succeeded, Result: document})
			return err
		}},
	} {
		began := time.Now()
		if err := step.do(); err != nil {
			r.b.Error(err)
			return false
		}
		r.took[step.op] = append(r.took[step.op], time.Since(began))
	}
	return true
}
