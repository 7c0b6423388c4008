package metrics

import (
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/runnerbean/runnerbean/internal/panics"
)

// readLimit bounds one read of what a collector reports.
const readLimit = 5 * time.Second

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, labels, nil)
}

// gauge: a label that is not UTF-8 would take all metrics down with it.
func gauge(ch chan<- prometheus.Metric, d *prometheus.Desc, value float64, labels ...string) {
	for i, label := range labels {
		labels[i] = strings.ToValidUTF8(label, "\ufffd")
	}
	ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
}

// guarded is a collector whose panics cost its own metrics only: the registry
// collects in goroutines of its own.
type guarded struct {
	prometheus.Collector
	log *slog.Logger
}

// Collect implements prometheus.Collector.
func (g guarded) Collect(ch chan<- prometheus.Metric) {
	if caught := panics.Catch(func() { g.Collector.Collect(ch) }); caught != nil {
		g.log.Error("a panic was caught", "stage", "metrics", "err", caught, "stack", caught.Stack)
	}
}

// truth is 1 or 0.
func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
