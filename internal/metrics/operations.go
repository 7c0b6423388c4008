package metrics

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// operationBuckets are from 0.1 ms to 5 s.
var operationBuckets = []float64{.0001, .0003, .001, .003, .01, .03, .1, .3, 1, 5}

// maxOperations is how many kinds of operations have a label of their own.
const maxOperations = 64

// operations on the ledger or the store.
type operations struct {
	took   *prometheus.HistogramVec
	failed *prometheus.CounterVec
	kinds  *names
}

func (m *Metrics) makeOperations(of string) operations {
	return operations{
		took:   m.histogram(of+"_operation_duration_seconds", "How long operations on the "+of+" took.", operationBuckets, "op"),
		failed: m.counter(of+"_errors_total", "Operations on the "+of+" that failed.", "op"),
		kinds:  newNames(maxOperations),
	}
}

func (o operations) observe(op string, took time.Duration, err error) {
	op = o.kinds.label(op)
	o.took.WithLabelValues(op).Observe(took.Seconds())
	failed := o.failed.WithLabelValues(op) // so that there is a 0 to rise from
	if err != nil && !errors.Is(err, context.Canceled) {
		failed.Inc()
	}
}

// Ledger observes an operation on the ledger.
func (m *Metrics) Ledger(op string, took time.Duration, err error) { m.ledger.observe(op, took, err) }

// Store observes an operation on the store.
func (m *Metrics) Store(op string, took time.Duration, err error) { m.store.observe(op, took, err) }
