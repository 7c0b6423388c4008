package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/runnerbean/runnerbean/jobs"
)

func (s *site) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.order)
	mux.HandleFunc("POST /forecasts", s.enqueue)
	mux.HandleFunc("GET /forecasts/{id}", s.forecast)
	mux.HandleFunc("GET /data/demand.json", s.input)
	mux.HandleFunc("GET /data/actual.json", s.actual)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /style.css", asset("style.css", "text/css; charset=utf-8"))
	mux.HandleFunc("GET /page.js", asset("page.js", "text/javascript; charset=utf-8"))
	mux.HandleFunc("GET /favicon.ico", asset("icon.svg", "image/svg+xml"))
	mux.HandleFunc("GET /icon.svg", asset("icon.svg", "image/svg+xml"))
	mux.HandleFunc("GET /", s.notFound)
	return s.guard(http.NewCrossOriginProtection().Handler(mux))
}

// guard sets the header fields of every answer. Scripts and results may come from the
// node, everything else from this server.
func (s *site) guard(next http.Handler) http.Handler {
	node, _ := url.Parse(s.node)
	origin := node.Scheme + "://" + node.Host
	policy := "default-src 'none'; script-src 'self' " + origin + "; connect-src 'self' " + origin +
		"; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
		next.ServeHTTP(w, r)
	})
}

// asset serves an embedded file. The digest of its content is its version.
func asset(name, kind string) http.HandlerFunc {
	content, err := assets.ReadFile("assets/" + name)
	if err != nil {
		panic(err) // the name is a constant of this file
	}
	return func(w http.ResponseWriter, r *http.Request) { write(w, r, kind, content) }
}

// write sends bytes that depend only on the URL.
func write(w http.ResponseWriter, r *http.Request, kind string, content []byte) {
	tag := `"` + digest(content)[:32] + `"`
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Cache-Control", "public, max-age=60")
	h.Set("ETag", tag)
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Write(content)
}

func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// input serves the input document of a job that this site submitted.
func (s *site) input(w http.ResponseWriter, r *http.Request) {
	weeks, err := between(r.FormValue("weeks"), history, 2, len(s.demand.Values)/week)
	if err != nil {
		http.Error(w, "weeks "+err.Error(), http.StatusBadRequest)
		return
	}
	horizon, err := between(r.FormValue("horizon"), week, 1, most)
	if err != nil {
		http.Error(w, "horizon "+err.Error(), http.StatusBadRequest)
		return
	}
	text, err := s.demand.inputOf(weeks, horizon)
	if err != nil {
		s.fail(w, err)
		return
	}
	write(w, r, "application/json", text)
}

// actual serves the values that the forecasts do not see.
func (s *site) actual(w http.ResponseWriter, r *http.Request) {
	text, err := json.Marshal(struct {
		Series series `json:"series"`
	}{s.demand.from(history * week)})
	if err != nil {
		s.fail(w, err)
		return
	}
	write(w, r, "application/json", text)
}

// between reads a whole number. An empty text means the default.
func between(text string, byDefault, least, most int) (int, error) {
	if text == "" {
		return byDefault, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		return 0, fmt.Errorf("must be a whole number from %d to %d", least, most)
	}
	return n, nil
}

// enqueueTime bounds the wait for beanstalkd.
const enqueueTime = 5 * time.Second

// enqueue puts a job and redirects the browser to its page.
func (s *site) enqueue(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		var tooLong *http.MaxBytesError
		if errors.As(err, &tooLong) {
			s.say(w, http.StatusRequestEntityTooLarge, "That was too much", "The form has one field; what was sent is longer than it can be.")
			return
		}
		s.say(w, http.StatusBadRequest, "That could not be read", "The form was not sent as a browser would.")
		return
	}
	horizon, err := between(r.PostFormValue("horizon"), week, day, most)
	if err != nil {
		s.say(w, http.StatusUnprocessableEntity, "That horizon is not to be had", "The horizon, in half hours, "+err.Error()+".")
		return
	}
	job, err := s.put(r.Context(), horizon)
	if err != nil {
		s.log.Error("job not put", "err", err)
		w.Header().Set("Retry-After", "5")
		s.say(w, http.StatusServiceUnavailable, "No forecasts just now", "The order could not be handed on. Please try again in a moment.")
		return
	}
	http.Redirect(w, r, "/forecasts/"+job.ID, http.StatusSeeOther)
}

func (s *site) put(ctx context.Context, horizon int) (jobs.Job, error) {
	text, err := s.demand.inputOf(history, horizon)
	if err != nil {
		return jobs.Job{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, enqueueTime)
	defer cancel()
	job, err := s.client.Enqueue(ctx, jobs.Job{
		Program: "forecast",
		Input: jobs.Input{
			URL:    fmt.Sprintf("%s/data/demand.json?weeks=%d&horizon=%d", s.base, history, horizon),
			SHA256: digest(text),
		},
		Labels: map[string]string{"series": "england-wales-demand-2000", "horizon": strconv.Itoa(horizon)},
	})
	if errors.Is(err, jobs.ErrMaybePut) {
		return s.client.Enqueue(ctx, job) // under the same id, so that it runs once
	}
	return job, err
}
