package metrics

import (
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics holds the metrics of one node. Its methods are safe for concurrent use.
type Metrics struct {
	registry registry
	log      *slog.Logger
	programs *names
	counters *names

	ended    *prometheus.CounterVec
	attempts *prometheus.CounterVec
	wait     *prometheus.HistogramVec
	run      *prometheus.HistogramVec
	cpu      *prometheus.CounterVec
	counted  *prometheus.CounterVec
	fetch    prometheus.Histogram
	publish  prometheus.Histogram

	actions    *prometheus.CounterVec
	webhooks   *prometheus.CounterVec
	deliveries *prometheus.CounterVec

	requests *prometheus.CounterVec
	answer   *prometheus.HistogramVec

	ledger, store operations
}
