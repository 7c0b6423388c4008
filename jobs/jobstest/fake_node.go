package jobstest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/jobdoc"
	"github.com/runnerbean/runnerbean/internal/signature"
	"github.com/runnerbean/runnerbean/jobs"
)

// fakeNode answers result URLs and as much of /api/v1 as a jobs.Client uses.
type fakeNode struct {
	jobs *recordedJobs
	// record records a document.
	record func(document []byte) (job jobs.Job, isNew bool, err error)
	isDown func() bool
	// urlKey returns the key that result URLs must be signed with, or nil.
	urlKey func() []byte
	token  string // of /api/v1
	ended  chan struct{}
}

func (n *fakeNode) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{id}", n.signed(n.getResult))
	mux.HandleFunc("GET /{id}/events", n.signed(n.getEvents))
	mux.HandleFunc("POST /api/v1/jobs", n.guarded(n.postJob))
	mux.HandleFunc("GET /api/v1/jobs", n.guarded(n.listJobs))
	mux.HandleFunc("GET /api/v1/jobs/{id}", n.guarded(n.getJob))
	mux.HandleFunc("POST /api/v1/jobs/{id}/{verb}", n.guarded(n.postVerb))
	for _, path := range []string{"/healthz", "/readyz"} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		answerProblem(w, http.StatusNotFound, "the fake node has nothing at "+r.URL.Path)
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n.isDown() {
			panic(http.ErrAbortHandler) // ends the connection without an answer
		}
		if r.Method == http.MethodOptions {
			allowCORS(w.Header())
			w.WriteHeader(http.StatusNoContent)
			return
		}
		r.URL.Path = strings.TrimPrefix(r.URL.Path, "/results") // a node has results at two paths
		mux.ServeHTTP(w, r)
	})
}

// allowCORS lets pages of every origin read the answer.
func allowCORS(h http.Header) {
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Allow-Methods", "GET, HEAD")
	h.Set("Access-Control-Allow-Headers", "*")
	h.Set("Access-Control-Expose-Headers", "ETag, Retry-After, Location")
}

// signed lets a request for a result pass if its URL is signed where it must be.
func (n *fakeNode) signed(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		allowCORS(w.Header())
		key := n.urlKey()
		if key == nil || n.hasToken(r) {
			next(w, r)
			return
		}
		switch err := signature.VerifyURL(r.PathValue("id"), r.URL.Query(), key, time.Now()); {
		case err == nil:
			next(w, r)
		case r.URL.Query().Get(signature.ParamSignature) == "":
			answerProblem(w, http.StatusUnauthorized, "the URL of a result must be signed")
		default:
			answerProblem(w, http.StatusForbidden, err.Error())
		}
	}
}

// guarded lets a request pass that has the token.
func (n *fakeNode) guarded(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !n.hasToken(r) {
			answerProblem(w, http.StatusUnauthorized, "this needs the token of Fake.Config")
			return
		}
		next(w, r)
	}
}

func (n *fakeNode) hasToken(r *http.Request) bool {
	return r.Header.Get("Authorization") == "Bearer "+n.token
}

// getResult answers with the newest state of a job. With "Prefer: wait" it answers when
// the job has ended. A node answers at each change; for a client that waits it comes to
// the same, without the pauses of a poll.
func (n *fakeNode) getResult(w http.ResponseWriter, r *http.Request) {
	var timeout <-chan time.Time
	if seconds, ok := strings.CutPrefix(r.Header.Get("Prefer"), "wait="); ok {
		if s, err := strconv.Atoi(seconds); err == nil {
			timer := time.NewTimer(time.Duration(min(max(s, 0), 30)) * time.Second)
			defer timer.Stop()
			timeout = timer.C
		}
	}
	for {
		states, _, changed, err := n.jobs.since(r.PathValue("id"), -1)
		if err != nil {
			answerError(w, err)
			return
		}
		if last := states[len(states)-1]; timeout == nil || last.State.Final() {
			answerResult(w, last)
			return
		}
		select {
		case <-changed:
		case <-timeout:
			timeout = nil
		case <-n.ended:
			timeout = nil
		case <-r.Context().Done():
			return
		}
	}
}

// answerResult sends a result document as a node does.
func answerResult(w http.ResponseWriter, res jobs.Result) {
	if res.State.Final() {
		w.Header().Set("Cache-Control", "no-cache")
		answerJSON(w, http.StatusOK, res)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Retry-After", "1")
	answerJSON(w, http.StatusAccepted, res)
}

// getEvents streams the states of a job to the final one.
func (n *fakeNode) getEvents(w http.ResponseWriter, r *http.Request) {
	states, next, changed, err := n.jobs.since(r.PathValue("id"), -1)
	if err != nil {
		answerError(w, err)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	for {
		for _, res := range states {
			text, err := json.Marshal(res)
			if err != nil {
				return
			}
			fmt.Fprintf(w, "event: state\nid: %s\ndata: %s\n\n", strconv.FormatInt(res.Timestamp.UnixMicro(), 36), text)
			if res.State.Final() {
				return
			}
		}
		if http.NewResponseController(w).Flush() != nil {
			return
		}
		select {
		case <-changed:
		case <-n.ended:
			return
		case <-r.Context().Done():
			return
		}
		if states, next, changed, err = n.jobs.since(r.PathValue("id"), next); err != nil {
			return
		}
	}
}

// postJob records a job and answers after that.
func (n *fakeNode) postJob(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, jobs.MaxDocument))
	if err != nil {
		answerProblem(w, http.StatusRequestEntityTooLarge, err.Error())
		return
	}
	if jobdoc.IsArray(body) {
		n.postJobs(w, body)
		return
	}
	job, isNew, err := n.record(body)
	if err != nil {
		answerError(w, err)
		return
	}
	_, res, err := n.jobs.get(job.ID)
	if err != nil {
		answerError(w, err)
		return
	}
	w.Header().Set("Location", job.Result.URL)
	status := http.StatusOK
	if isNew {
		status = http.StatusCreated
	}
	answerJSON(w, status, res)
}

// postJobs takes an array of documents.
func (n *fakeNode) postJobs(w http.ResponseWriter, body []byte) {
	documents, fault := jobdoc.Split(body, api.MaxSubmitted)
	if fault == nil {
		fault = idTwice(documents)
	}
	if fault != nil {
		answerError(w, fault)
		return
	}
	var all api.Submitted
	for _, document := range documents {
		job, isNew, err := n.record(document)
		_, known, _ := n.jobs.get(job.ID)
		one := api.SubmittedJob{Status: http.StatusOK, ID: job.ID, URL: job.Result.URL, State: known.State}
		switch {
		case err != nil:
			p := problemOf(err)
			if fault, ok := errors.AsType[*jobs.Fault](err); ok {
				job.ID = fault.ID
			}
			one = api.SubmittedJob{Status: p.Status, ID: job.ID, Error: p}
			all.Refused++
		case isNew:
			one.Status = http.StatusCreated
		}
		all.Jobs = append(all.Jobs, one)
	}
	answerJSON(w, http.StatusOK, all)
}

// idTwice returns the fault of an array of which two documents have the same id. A node
// records none of it.
func idTwice(documents [][]byte) *jobs.Fault {
	places := map[string]int{}
	for i, document := range documents {
		job, err := jobdoc.Decode(document)
		if err != nil {
			continue
		}
		if first, twice := places[job.ID]; twice {
			return &jobs.Fault{
				Pointer: fmt.Sprintf("/%d/id", i), Message: fmt.Sprintf("the id is that of document %d of the array, too", first+1),
			}
		}
		places[job.ID] = i
	}
	return nil
}

// allowed returns the verbs that a node lists for a job in a state. The fake knows cancel
// and retry.
func allowed(s jobs.State) []string {
	switch s {
	case jobs.Succeeded:
		return []string{"delete"}
	case jobs.Failed, jobs.Cancelled:
		return []string{"retry", "reset", "delete"}
	case jobs.Running:
		return []string{"cancel", "stop", "terminate", "reset"}
	}
	return []string{"cancel", "terminate", "reset"}
}

// getJob answers with the details of a job.
func (n *fakeNode) getJob(w http.ResponseWriter, r *http.Request) {
	job, res, err := n.jobs.get(r.PathValue("id"))
	if err != nil {
		answerError(w, err)
		return
	}
	updated := res.Timestamp
	res.Result = nil // it is at the result URL alone
	answerJSON(w, http.StatusOK, jobs.Details{Job: job, Status: res, Allowed: allowed(res.State), Updated: updated})
}

// listJobs answers with the jobs that match, newest first, on pages.
func (n *fakeNode) listJobs(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	limit, err := strconv.Atoi(query.Get("limit"))
	if err != nil || limit <= 0 {
		limit = 50
	}
	all := n.jobs.all()
	next := len(all) - 1
	if at, err := strconv.Atoi(query.Get("cursor")); err == nil {
		next = min(at, next)
	}
	page := api.Page{Jobs: []jobs.Result{}}
	for ; next >= 0 && len(page.Jobs) < limit; next-- {
		_, res, err := n.jobs.get(all[next].ID)
		if err == nil && matches(all[next], res, query) {
			res.Result, res.Partial = nil, nil
			page.Jobs = append(page.Jobs, res)
		}
	}
	if next >= 0 {
		page.Next = strconv.Itoa(next)
	}
	answerJSON(w, http.StatusOK, page)
}

// matches reports whether a job is among those that a query asks for.
func matches(job jobs.Job, res jobs.Result, query url.Values) bool {
	for name, is := range map[string]string{"program": res.Program, "state": string(res.State), "node": res.Node} {
		if want := query.Get(name); want != "" && want != is {
			return false
		}
	}
	key, value, _ := strings.Cut(query.Get("label"), "=")
	if key != "" && job.Labels[key] != value {
		return false
	}
	if since, err := time.Parse(time.RFC3339, query.Get("since")); err == nil && job.Created.Before(since) {
		return false
	}
	if until, err := time.Parse(time.RFC3339, query.Get("until")); err == nil && !job.Created.Before(until) {
		return false
	}
	return strings.Contains(fmt.Sprint(job.ID, job.Labels, res.Message, res.Error), query.Get("text"))
}

// postVerb cancels a job or queues it again.
func (n *fakeNode) postVerb(w http.ResponseWriter, r *http.Request) {
	var res jobs.Result
	var err error
	id := r.PathValue("id")
	switch r.PathValue("verb") {
	case "cancel":
		res, err = n.jobs.change(id, []jobs.State{jobs.Waiting, jobs.Queued, jobs.Running}, cancelled)
	case "retry":
		res, err = n.jobs.change(id, []jobs.State{jobs.Failed, jobs.Cancelled}, queuedAgain)
	default:
		answerProblem(w, http.StatusNotFound, "the fake node knows the verbs cancel and retry")
		return
	}
	if err != nil {
		answerError(w, err)
		return
	}
	answerJSON(w, http.StatusAccepted, res)
}

// cancelled, queuedAgain, running and ended are changes of a job's state.
func cancelled(res *jobs.Result) {
	ended(res, jobs.Cancelled)
	res.Error = &jobs.Error{Class: jobs.OutcomeCancelled, Message: "the job was cancelled"}
}

func queuedAgain(res *jobs.Result) {
	*res = jobs.Result{ID: res.ID, Program: res.Program, State: jobs.Queued, Timestamp: res.Timestamp, Created: res.Created, Attempt: res.Attempt}
}

func running(res *jobs.Result) {
	if res.State != jobs.Running {
		res.State, res.Started, res.Node = jobs.Running, res.Timestamp, "jobstest"
		res.Attempt++
	}
}

func ended(res *jobs.Result, state jobs.State) {
	if state != jobs.Cancelled {
		running(res)
	}
	res.State, res.Finished = state, res.Timestamp
	res.Progress, res.Message, res.Reason, res.Partial = nil, "", "", nil
}

// answerError answers with the problem that stands for an error.
func answerError(w http.ResponseWriter, err error) {
	p := problemOf(err)
	answer(w, p.Status, "application/problem+json", p)
}

func problemOf(err error) *jobs.Problem {
	var fault *jobs.Fault
	p := &jobs.Problem{Status: http.StatusServiceUnavailable, Detail: err.Error()}
	switch {
	case errors.As(err, &fault):
		p.Status, p.Detail, p.Pointer = http.StatusUnprocessableEntity, fault.Message, fault.Pointer
		if fault.Syntax {
			p.Status = http.StatusBadRequest
		}
	case errors.Is(err, errUnknown):
		p.Status = http.StatusNotFound
	case errors.Is(err, errOther), errors.Is(err, errNotNow):
		p.Status = http.StatusConflict
	}
	p.Title = http.StatusText(p.Status)
	return p
}

func answerProblem(w http.ResponseWriter, status int, detail string) {
	answer(w, status, "application/problem+json", jobs.Problem{Title: http.StatusText(status), Status: status, Detail: detail})
}

func answerJSON(w http.ResponseWriter, status int, value any) {
	answer(w, status, "application/json", value)
}

func answer(w http.ResponseWriter, status int, kind string, value any) {
	text, err := json.Marshal(value)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	w.Write(text)
}
