package metrics

import (
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/runnerbean/runnerbean/internal/report"
)

func (m *Metrics) makeWork() {
	m.ended = m.registry.counter("jobs_ended_total", "Jobs that came to their end with an attempt on this node.", "program", "state", "class")
	m.attempts = m.registry.counter("attempts_total", "Attempts that ended on this node.", "program", "outcome")
	m.counted = m.registry.counter("program_counted_total", "What programs have counted on this node.", "program", "counter")
	m.cpu = m.registry.counter("run_cpu_seconds_total", "Processor time of programs that ended, user and system.", "program")
	m.wait = m.registry.histogram("queue_wait_seconds", "From a job's being queued to the start of an attempt.", workBuckets, "program")
	m.run = m.registry.histogram("run_duration_seconds", "How long programs ran.", workBuckets, "program")
	m.fetch = m.registry.single("fetch_duration_seconds", "How long it took to fetch the inputs of an attempt.")
	m.publish = m.registry.single("publish_duration_seconds", "How long it took to publish a result.")
	m.actions = m.registry.counter("reconciler_actions_total", "Jobs that the reconciler of this node has put right, by what it did.", "kind")
	m.webhooks = m.registry.counter("webhooks_total", "Tries to tell a webhook of a job's end, by outcome: delivered, failed, given_up.", "outcome")
	m.deliveries = m.registry.counter("deliveries_total", "Tries to put a job's document to its URL elsewhere, by outcome: delivered, failed, given_up.", "outcome")
	// Create the counters at 0, so that an alert sees the first increase.
	for _, kind := range []string{"lost", "expired", "resent", "found"} {
		m.actions.WithLabelValues(kind)
	}
	for _, outcome := range []string{"delivered", "failed", "given_up"} {
		m.webhooks.WithLabelValues(outcome)
		m.deliveries.WithLabelValues(outcome)
	}
}

// Ended counts an attempt that has ended.
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

// Counted counts what a program has counted. Counters of programs without a label of their own,
// and those beyond maxCounters, are one.
func (m *Metrics) Counted(program, counter string, n float64) {
	label, pair := m.programs.label(program), other
	if label != other {
		pair = m.counters.label(program + "\x00" + counter)
	}
	if pair != other {
		pair = strings.ToValidUTF8(counter, "�")
	}
	m.counted.WithLabelValues(label, pair).Add(max(0, n))
}

// observe records a duration. A step that did not happen has the duration 0 and is left
// out.
func observe(o prometheus.Observer, d time.Duration) {
	if d > 0 {
		o.Observe(d.Seconds())
	}
}

// Action counts n jobs that the reconciler corrected.
func (m *Metrics) Action(kind string, n int) { m.actions.WithLabelValues(kind).Add(float64(n)) }

// Delivery counts one try to deliver a document. The outcome is "delivered", "failed"
// or "given_up".
func (m *Metrics) Delivery(outcome string) { m.deliveries.WithLabelValues(outcome).Inc() }

// Webhook counts one try to send a webhook. The outcome is "delivered", "failed" or
// "given_up".
func (m *Metrics) Webhook(outcome string) { m.webhooks.WithLabelValues(outcome).Inc() }

// Ledger records an operation on the ledger.
func (m *Metrics) Ledger(op string, took time.Duration, err error) { m.ledger.observe(op, took, err) }

// Store records an operation on the store.
func (m *Metrics) Store(op string, took time.Duration, err error) { m.store.observe(op, took, err) }
