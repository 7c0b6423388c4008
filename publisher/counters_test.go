package publisher

import (
	"context"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/chunks"
	"github.com/runnerbean/runnerbean/internal/ledger/counters"
)

// count reports counters and a chunk of the first attempt of a job, and what its node and
// another one have counted in the last minutes.
func (b *bench) count(id string) {
	b.t.Helper()
	now := time.Now().UTC()
	err := b.ledger.Report(context.Background(), id, 1, ledger.Live{
		Counters: map[string]float64{"records": 1200, "records.bad": 7},
		Chunks:   []chunks.Chunk{{ID: "packages-16", Of: "40", Number: 1, Began: now}, {ID: "packages-17", Of: "40", Number: 2, Began: now}},
	})
	if err != nil {
		b.t.Fatal(err)
	}
	for node, n := range map[string]float64{testNode: 1, "other-node": 2} {
		var list []counters.Sum
		for back := range 90 {
			at := now.Add(-time.Duration(back) * 10 * time.Second)
			list = append(list,
				counters.Sum{Program: testProgram, Name: "records", At: at, N: n * float64(1000+20*(back%7))},
				counters.Sum{Program: testProgram, Name: "records.bad", At: at, N: n * float64(back%3)})
		}
		if err := b.ledger.Counters.Add(context.Background(), node, list); err != nil {
			b.t.Fatal(err)
		}
	}
}
