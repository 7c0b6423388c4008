package jobs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	jsonv2 "github.com/go-json-experiment/json"

	"github.com/runnerbean/runnerbean/internal/jsondoc"
	"github.com/runnerbean/runnerbean/internal/retry"
	"github.com/runnerbean/runnerbean/jobs/internal/nodeapi"
	"github.com/runnerbean/runnerbean/jobs/internal/web"
)

const (
	apiJobs = "/api/v1/jobs"
	// askFor is how long a request is sent again after temporary failures.
	askFor = 30 * time.Second
	// askBackoff is the longest wait between two tries where the node asks for none.
	askBackoff = 2 * time.Second
	maxAnswer  = 16 << 20 // bytes
	pageSize   = 100      // jobs in one page of a list
)

// Details is what [Client.Get] returns about a job.
type Details struct {
	// Job is the document as it was put. For a token with the role viewer its URLs
	// have no queries, since they may give access to something else.
	Job Job `json:"job"`
	// Status has the state, the number of the newest attempt, the times and the reason,
	// but not the result of a success, which is at Job.Result.URL.
	Status Result `json:"status"`
	// Why says in words what a job that has not ended waits for; empty while it runs as
	// it should.
	Why string `json:"why,omitempty"`
	// Allowed are the verbs that apply now, such as cancel and retry.
	Allowed []string `json:"allowed"`
	// Updated is when the state of the job changed last; the ETag stands for it.
	Updated time.Time `json:"updated"`
}

// Filter selects jobs for [Client.List]. A job must match all fields that are set; the zero
// Filter selects all jobs.
type Filter struct {
	State   State
	Program string
	// Node is the name of the node that ran the newest attempt.
	Node string
	// Label is written key=value.
	Label string
	// Since and Until bound when the job was accepted.
	Since, Until time.Time
	// Text is looked for in ids, labels and messages.
	Text string
}

// query returns the parameters of a page.
func (f Filter) query(cursor string) url.Values {
	q := url.Values{"limit": {fmt.Sprint(pageSize)}}
	set := func(name, value string) {
		if value != "" {
			q.Set(name, value)
		}
	}
	set("state", string(f.State))
	set("program", f.Program)
	set("node", f.Node)
	set("label", f.Label)
	set("text", f.Text)
	set("cursor", cursor)
	for name, t := range map[string]time.Time{"since": f.Since, "until": f.Until} {
		if !t.IsZero() {
			q.Set(name, t.Format(time.RFC3339Nano))
		}
	}
	return q
}

// Get returns what the ledger has about the job id. It needs a Token with the role viewer, or
// submit for a job that the same token has submitted. The error is [ErrUnknown] if there
// is no such job.
func (c *Client) Get(ctx context.Context, id string) (Details, error) {
	var d Details
	err := c.about(ctx, id, "viewer, or submit for its own jobs", nodeapi.Request{Method: http.MethodGet, Path: apiJobs + "/" + id}, func(body []byte) error {
		var err error
		d, err = parseDetails(body)
		return err
	})
	return d, err
}

// Cancel ends the job id before its success, and returns its state: a job that runs is
// stopped in a moment, and is running until then. A job that has ended stays as it is, which
// is no error. So Cancel may be repeated, after a lost answer too. It needs a Token with the
// role operator, or submit for a job that the same token has submitted. The error is
// [ErrUnknown] if there is no such job.
func (c *Client) Cancel(ctx context.Context, id string) (Result, error) {
	return c.apply(ctx, "cancel", id, "operator, or submit for its own jobs", State.Final)
}

// Retry queues the job id again, which has failed or was cancelled: with the same id and
// URL, and attempts counted anew. It returns the state of the job. A job that has not ended
// stays as it is, which is no error. So Retry may be repeated, after a lost answer too. It
// needs a Token with the role operator. The error is [ErrUnknown] if there is no such job,
// and [ErrConflict] if it has succeeded or cannot run as things are: the error says why.
func (c *Client) Retry(ctx context.Context, id string) (Result, error) {
	return c.apply(ctx, "retry", id, "operator", func(s State) bool { return !s.Final() })
}

// apply applies a verb to a job. A refusal is no error if the job is in a state that the
// verb would lead to.
func (c *Client) apply(ctx context.Context, verb, id, role string, reached func(State) bool) (Result, error) {
	var res Result
	err := c.about(ctx, id, role, nodeapi.Request{Method: http.MethodPost, Path: apiJobs + "/" + id + "/" + verb, Key: NewID()}, func(body []byte) error {
		var err error
		res, err = parseResult(body)
		return err
	})
	if isStatus(err, http.StatusConflict) {
		if d, failed := c.Get(ctx, id); failed == nil && reached(d.Status.State) {
			return d.Status, nil
		}
	}
	return res, err
}

// about asks the API about one job and parses the answer.
func (c *Client) about(ctx context.Context, id, role string, r nodeapi.Request, parse func([]byte) error) error {
	if !ValidID(id) {
		return fmt.Errorf("jobs: %s is not the id of a job", jsondoc.Excerpt(id))
	}
	body, _, err := c.ask(ctx, r)
	if err == nil {
		err = parse(body)
	}
	if err != nil {
		return fmt.Errorf("jobs: job %s: %w", id, withRole(err, role))
	}
	return nil
}

// List yields the jobs that match, the newest first. Their results, partial results and logs
// are left out. It reads page after page, so a job that is put meanwhile is not listed. It
// needs a Token with the role viewer. An error is yielded once, as the last.
func (c *Client) List(ctx context.Context, f Filter) iter.Seq2[Result, error] {
	return func(yield func(Result, error) bool) {
		for cursor := ""; ; {
			p, err := c.page(ctx, f, cursor)
			if err != nil {
				yield(Result{}, fmt.Errorf("jobs: list: %w", withRole(err, "viewer")))
				return
			}
			for _, res := range p.Jobs {
				if !yield(res, nil) {
					return
				}
			}
			if cursor = p.Next; cursor == "" {
				return
			}
		}
	}
}

// page is one page of a list.
type page struct {
	Jobs []Result `json:"jobs"`
	Next string   `json:"next"`
}

func (c *Client) page(ctx context.Context, f Filter, cursor string) (page, error) {
	body, _, err := c.ask(ctx, nodeapi.Request{Method: http.MethodGet, Path: apiJobs + "?" + f.query(cursor).Encode()})
	if err != nil {
		return page{}, err
	}
	p, err := parsePage(body)
	if err == nil && p.Next != "" && p.Next == cursor {
		err = fmt.Errorf("%w: its next page is the same one", ErrNotResult)
	}
	return p, err
}

// parsePage reads a page of a list of jobs.
func parsePage(text []byte) (page, error) {
	var p page
	if err := jsonv2.Unmarshal(text, &p); err != nil {
		return page{}, fmt.Errorf("%w: %w", ErrNotResult, err)
	}
	if p.Jobs == nil {
		return page{}, fmt.Errorf("%w: it has no jobs", ErrNotResult)
	}
	for _, res := range p.Jobs {
		if !ValidID(res.ID) || res.State == "" {
			return page{}, fmt.Errorf("%w: a job has no id or state", ErrNotResult)
		}
	}
	return p, nil
}

// parseDetails reads the details of a job.
func parseDetails(text []byte) (Details, error) {
	var d Details
	if err := jsonv2.Unmarshal(text, &d); err != nil {
		return Details{}, fmt.Errorf("%w: %w", ErrNotResult, err)
	}
	if d.Status.ID == "" || d.Status.State == "" {
		return Details{}, fmt.Errorf("%w: it has no id or state", ErrNotResult)
	}
	return d, nil
}

// ask sends a request to the API, and again after temporary failures. lost reports whether an
// answer was lost, so that the request may have been done.
func (c *Client) ask(ctx context.Context, r nodeapi.Request) (body []byte, lost bool, err error) {
	r.MaxAnswer = maxAnswer
	until := time.Now().Add(askFor)
	if d, ok := ctx.Deadline(); ok && d.Before(until) {
		until = d
	}
	var last error
	for n := 1; ; n++ {
		a, err := c.api.Do(ctx, r)
		if err != nil {
			err = web.Explained(err)
		} else if err = c.refusal(a); err == nil {
			return a.Body, lost, nil
		}
		lost = lost || mayBeDone(err)
		if ctx.Err() != nil && last != nil {
			return nil, lost, fmt.Errorf("%w; last error: %w", ctx.Err(), last)
		}
		last = err
		wait := max(retry.Backoff{Base: backoffFirst, Max: askBackoff}.Wait(n), retryAfter(a.Header, time.Now()))
		_, lasting := errors.AsType[*web.Lasting](err)
		lasting = lasting || !temporary(err) || errors.Is(err, nodeapi.ErrTooLarge)
		if ctx.Err() != nil || lasting || time.Until(until) <= wait {
			return nil, lost, err
		}
		if n == warnAfter {
			c.cfg.Logger.Warn("the API does not answer, will try on", slog.String("api", c.api.Base()), slog.Any("err", err))
		}
		retry.Sleep(ctx, wait) // if ctx ends, nothing more is sent
	}
}

// refusal returns the error of an answer that is not a success.
func (c *Client) refusal(a nodeapi.Answer) error {
	if a.Status < http.StatusMultipleChoices {
		return nil
	}
	p := problem(&http.Response{StatusCode: a.Status, Header: a.Header, Body: io.NopCloser(bytes.NewReader(a.Body))})
	if a.Status < http.StatusBadRequest {
		p.Detail = fmt.Sprintf("%s redirects to %s; set Config.API to the address of the API itself", c.api.Base(), jsondoc.ExcerptURL(a.Header.Get("Location")))
	}
	p.conceal(c.cfg.Token)
	return p
}

// mayBeDone reports whether the request that ended so may have been done. A node refuses
// with 429 and 503 before it does anything; a proxy gives these answers for a node that
// was cut off.
func mayBeDone(err error) bool {
	p, answered := errors.AsType[*Problem](err)
	if !answered {
		return !errors.Is(err, nodeapi.ErrNotSent)
	}
	return p.Status >= http.StatusInternalServerError && (p.Status != http.StatusServiceUnavailable || p.Detail == "")
}

// withRole says which role of the token a refused request needs.
func withRole(err error, role string) error {
	if isStatus(err, http.StatusUnauthorized) || isStatus(err, http.StatusForbidden) {
		return fmt.Errorf("%w; this needs a Config.Token with the role %s", err, role)
	}
	return err
}
