// Package metrics counts what a node does and serves the counts to Prometheus. No other
// package imports client_golang. docs/monitoring.md lists every metric, and a test
// compares the list with the code. No label contains a job id, and every label has a
// bounded number of values.
package metrics

import (
	"context"
	"log/slog"
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/runnerbean/runnerbean/api"
)

// Config configures Metrics. If a function is nil, its metrics are left out.
type Config struct {
	// Version is the version of the program.
	Version string
	// Slots returns the number of slots of this node and the number of busy ones.
	Slots func() (total, busy int)
	// Trouble reports whether this node fails jobs by a fault of its own.
	Trouble func() bool
	// Pool reads the state that all nodes share. It is called at most every 5 s.
	Pool func(context.Context) (Pool, error)
	// Servers returns the state of each beanstalkd server.
	Servers func(context.Context) []api.Server
	// Disks returns the file systems that this node writes to.
	Disks func() []api.Disk
	// Cache returns the figures of the copies of objects of a bucket.
	Cache func() Cache
	// Streams returns the number of open event streams.
	Streams func() int
	// StreamsDropped returns how many messages event streams did not get because they were
	// behind.
	StreamsDropped func() int64
	// FromMemory returns the number of results that were served from memory, without
	// the router.
	FromMemory func() int64
	// LogDropped returns the number of lines of the log that were dropped.
	LogDropped func() int64
	// Logger logs failed reads and panics. Default slog.Default().
	Logger *slog.Logger
}

// New creates and registers the metrics.
func New(cfg Config) *Metrics {
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	m := &Metrics{registry: registry{prometheus.NewRegistry()}, log: cfg.Logger, programs: newNames(maxPrograms), counters: newNames(maxCounters)}
	m.makeWork()
	m.makeHTTP()
	m.ledger, m.store = m.registry.operations("ledger"), m.registry.operations("store")
	m.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		buildInfo(cfg.Version),
	)
	m.registerReaders(cfg)
	return m
}

// registerReaders registers the collectors that read their values at each scrape.
func (m *Metrics) registerReaders(cfg Config) {
	if cfg.Slots != nil {
		m.registry.MustRegister(guarded{slots{cfg.Slots}, m.log})
	}
	if cfg.Trouble != nil {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: namespace, Name: "node_trouble", Help: "Whether this node fails jobs by a fault of its own and tries one now and then.",
		}, func() float64 {
			if cfg.Trouble() {
				return 1
			}
			return 0
		}))
	}
	if cfg.Pool != nil {
		m.registry.MustRegister(guarded{&pool{read: cfg.Pool, log: m.log, programs: m.programs}, m.log})
	}
	if cfg.Servers != nil {
		m.registry.MustRegister(guarded{servers{cfg.Servers}, m.log})
	}
	if cfg.Cache != nil {
		m.registry.MustRegister(guarded{cache{cfg.Cache}, m.log})
	}
	if cfg.Disks != nil {
		m.registry.MustRegister(guarded{disks{cfg.Disks}, m.log})
	}
	if cfg.Streams != nil {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: namespace, Name: "event_streams", Help: "Event streams that are open on this node.",
		}, func() float64 { return float64(cfg.Streams()) }))
	}
	if cfg.LogDropped != nil {
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Namespace: namespace, Name: "log_dropped_total",
			Help: "Lines of the log that were dropped: they could not be written, or nobody read them in time.",
		}, func() float64 { return float64(cfg.LogDropped()) }))
	}
	if cfg.StreamsDropped != nil {
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Namespace: namespace, Name: "event_messages_dropped_total",
			Help: "Messages that event streams did not get because they were behind.",
		}, func() float64 { return float64(cfg.StreamsDropped()) }))
	}
	if cfg.FromMemory != nil {
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Namespace: namespace, Name: "http_memory_results_total",
			Help: "Results that were served from memory; they are not among runnerbean_http_requests_total.",
		}, func() float64 { return float64(cfg.FromMemory()) }))
	}
}

// Handler returns the handler that serves the metrics in the formats of Prometheus.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(m.log.Handler(), slog.LevelWarn),
		ErrorHandling:       promhttp.ContinueOnError,
		MaxRequestsInFlight: 4,
		Timeout:             10 * time.Second,
	})
}

func buildInfo(version string) prometheus.Collector {
	g := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Namespace: namespace, Name: "build_info", Help: "Always 1; the version of the program and of Go.",
	}, []string{"version", "goversion"})
	g.WithLabelValues(version, runtime.Version()).Set(1)
	return g
}
