package metrics

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// answerBuckets reach from 0.5 ms to 30 s, the longest time that the API holds an
// answer back.
var answerBuckets = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, 1, 5, 30}

var methods = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions,
}

func (m *Metrics) makeHTTP() {
	m.requests = m.registry.counter("http_requests_total", "HTTP requests that were answered, by route, method and class of the status.", "route", "method", "code")
	m.answer = m.registry.histogram("http_request_duration_seconds", "How long answers took, event streams left out.", answerBuckets, "route")
}

// Request counts an HTTP request. The route is a template of the router, so that the
// number of labels is bounded.
func (m *Metrics) Request(route, method string, status int, took time.Duration) {
	if !slices.Contains(methods, method) {
		method = other
	}
	m.requests.WithLabelValues(route, method, class(status)).Inc()
	if !strings.HasSuffix(route, "/events") {
		m.answer.WithLabelValues(route).Observe(took.Seconds())
	}
}

// class returns the class of a status, such as "2xx", or "broken" if the connection
// broke before the answer.
func class(status int) string {
	if status < 100 || status > 599 {
		return "broken"
	}
	return strconv.Itoa(status/100) + "xx"
}
