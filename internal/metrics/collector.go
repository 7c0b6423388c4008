package metrics

import (
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/runnerbean/runnerbean/internal/panics"
)

// readLimit bounds the time in which a collector reads its values.
const readLimit = 5 * time.Second

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, labels, nil)
}

// gauge sends one value. It replaces invalid UTF-8 in labels, because one invalid label
// fails the whole scrape.
func gauge(ch chan<- prometheus.Metric, d *prometheus.Desc, value float64, labels ...string) {
	for i, label := range labels {
		labels[i] = strings.ToValidUTF8(label, "\ufffd")
	}
	ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
}

// guarded recovers from panics of a collector, so that a panic loses only the metrics
// of that collector. The registry calls Collect on goroutines of its own.
type guarded struct {
	prometheus.Collector
	log *slog.Logger
}

// Collect implements [prometheus.Collector].
func (g guarded) Collect(ch chan<- prometheus.Metric) {
	if caught := panics.Catch(func() { g.Collector.Collect(ch) }); caught != nil {
		g.log.Error("a panic was caught", "stage", "metrics", "err", caught, "stack", caught.Stack)
	}
}

// truth returns 1 for true and 0 for false.
func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
