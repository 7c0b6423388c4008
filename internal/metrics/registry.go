package metrics

import "github.com/prometheus/client_golang/prometheus"

const namespace = "runnerbean"

// registry creates metrics and registers them.
type registry struct{ *prometheus.Registry }

func (r registry) counter(name, help string, labels ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
	r.MustRegister(c)
	return c
}

func (r registry) histogram(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help, Buckets: buckets}, labels)
	r.MustRegister(h)
	return h
}

func (r registry) single(name, help string) prometheus.Histogram {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help, Buckets: workBuckets})
	r.MustRegister(h)
	return h
}

// workBuckets reach from 10 ms to 10 hours.
var workBuckets = []float64{.01, .03, .1, .3, 1, 3, 10, 30, 60, 180, 600, 1800, 3600, 10_800, 36_000}
