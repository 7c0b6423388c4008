package main

import (
	"strings"
	"testing"

	"github.com/runnerbean/runnerbean/jobs"
)

// TestOrder tests the handler of an order in milliseconds: nothing need be installed.
func TestOrder(t *testing.T) {
	t.Parallel()
	h, fake := newHandler(t)
	w := ask(h, "POST", "/forecasts", "horizon=48")

	job := fake.RequireEnqueued(t, "forecast", 1)[0]
	if w.Code != 303 || w.Header().Get("Location") != "/forecasts/"+job.ID {
		t.Errorf("the browser is sent to %s with %d", w.Header().Get("Location"), w.Code)
	}
	if job.Labels["horizon"] != "48" {
		t.Errorf("labels are %v", job.Labels)
	}
}

func TestRefusedOrder(t *testing.T) {
	t.Parallel()
	h, fake := newHandler(t)
	ask(h, "POST", "/forecasts", "horizon=1")
	fake.RequireNone(t)
}

func TestOrderWithoutBeanstalkd(t *testing.T) {
	t.Parallel()
	h, fake := newHandler(t)
	fake.SetDown(true)
	w := ask(h, "POST", "/forecasts", "horizon=48")
	if w.Code != 503 || w.Header().Get("Retry-After") == "" || strings.Contains(w.Body.String(), "127.0.0.1") {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	fake.SetDown(false)
	if w := ask(h, "POST", "/forecasts", "horizon=48"); w.Code != 303 {
		t.Errorf("got %d once beanstalkd is back", w.Code)
	}
}

// TestOrderWhoseAnswerIsLost looks for one job, though it was put twice.
func TestOrderWhoseAnswerIsLost(t *testing.T) {
	t.Parallel()
	h, fake := newHandler(t)
	fake.FailNext(1, jobs.ErrMaybePut)
	if w := ask(h, "POST", "/forecasts", "horizon=48"); w.Code != 303 {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	fake.RequireEnqueued(t, "forecast", 1)
}
