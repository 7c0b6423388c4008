package metrics

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// operationBuckets reach from 0.1 ms to 5 s.
var operationBuckets = []float64{.0001, .0003, .001, .003, .01, .03, .1, .3, 1, 5}

// maxOperations is the largest number of operations with a label of their own.
const maxOperations = 64

// operations measures the operations on the ledger or the store.
type operations struct {
	took   *prometheus.HistogramVec
	failed *prometheus.CounterVec
	kinds  *names
}

func (r registry) operations(of string) operations {
	return operations{
		took:   r.histogram(of+"_operation_duration_seconds", "How long operations on the "+of+" took.", operationBuckets, "op"),
		failed: r.counter(of+"_errors_total", "Operations on the "+of+" that failed.", "op"),
		kinds:  newNames(maxOperations),
	}
}

func (o operations) observe(op string, took time.Duration, err error) {
	op = o.kinds.label(op)
	o.took.WithLabelValues(op).Observe(took.Seconds())
	failed := o.failed.WithLabelValues(op) // creates the counter at 0, so that an alert sees the first error
	if err != nil && !errors.Is(err, context.Canceled) {
		failed.Inc()
	}
}
