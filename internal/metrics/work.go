package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/runnerbean/runnerbean/internal/report"
)

// workBuckets are from 10 ms to 10 hours.
var workBuckets = []float64{.01, .03, .1, .3, 1, 3, 10, 30, 60, 180, 600, 1800, 3600, 10_800, 36_000}

func (m *Metrics) makeWork() {
	m.ended = m.counter("jobs_ended_total", "Jobs that came to their end with an attempt on this node.", "program", "state", "class")
	m.attempts = m.counter("attempts_total", "Attempts that ended on this node.", "program", "outcome")
	m.cpu = m.counter("run_cpu_seconds_total", "Processor time of programs that ended, user and system.", "program")
	m.wait = m.histogram("queue_wait_seconds", "From a job's being queued to the start of an attempt.", workBuckets, "program")
	m.run = m.histogram("run_duration_seconds", "How long programs ran.", workBuckets, "program")
	m.fetch = m.single("fetch_duration_seconds", "How long it took to fetch the inputs of an attempt.")
	m.publish = m.single("publish_duration_seconds", "How long it took to publish a result.")
	m.actions = m.counter("reconciler_actions_total", "Jobs that the reconciler of this node has put right, by what it did.", "kind")
	m.webhooks = m.counter("webhooks_total", "Tries to tell a webhook of a job's end, by outcome: delivered, failed, given_up.", "outcome")
	m.deliveries = m.counter("deliveries_total", "Tries to put a job's document to its URL elsewhere, by outcome: delivered, failed, given_up.", "outcome")
	// An alert on the first of something needs a 0 to rise from.
	for _, kind := range []string{"lost", "expired", "resent", "found"} {
		m.actions.WithLabelValues(kind)
	}
	for _, outcome := range []string{"delivered", "failed", "given_up"} {
		m.webhooks.WithLabelValues(outcome)
		m.deliveries.WithLabelValues(outcome)
	}
}

func (m *Metrics) single(name, help string) prometheus.Histogram {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help, Buckets: workBuckets})
	m.registry.MustRegister(h)
	return h
}

// Ended counts an attempt.
func (m *Metrics) Ended(e report.Attempt) {
	program := m.programs.label(e.Program)
	m.attempts.WithLabelValues(program, string(e.Outcome)).Inc()
	if e.State.Final() {
		m.ended.WithLabelValues(program, string(e.State), string(e.Outcome)).Inc()
	}
	m.cpu.WithLabelValues(program).Add(max(0, e.CPU.Seconds()))
	if !e.Queued.IsZero() {
		m.wait.WithLabelValues(program).Observe(max(0, e.Start.Sub(e.Queued).Seconds()))
	}
	observe(m.run.WithLabelValues(program), e.Run)
	observe(m.fetch, e.Fetch)
	observe(m.publish, e.Publish)
}

// observe leaves out what was not come to.
func observe(o prometheus.Observer, d time.Duration) {
	if d > 0 {
		o.Observe(d.Seconds())
	}
}

// Action counts what the reconciler did to n jobs.
func (m *Metrics) Action(kind string, n int) { m.actions.WithLabelValues(kind).Add(float64(n)) }

// Delivery counts a try: "delivered", "failed" or "given_up".
func (m *Metrics) Delivery(outcome string) { m.deliveries.WithLabelValues(outcome).Inc() }

// Webhook counts a try: "delivered", "failed" or "given_up".
func (m *Metrics) Webhook(outcome string) { m.webhooks.WithLabelValues(outcome).Inc() }
