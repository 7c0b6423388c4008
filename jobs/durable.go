package jobs

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"

	jsonv2 "github.com/go-json-experiment/json"

	"github.com/runnerbean/runnerbean/internal/jsondoc"
	"github.com/runnerbean/runnerbean/internal/panics"
	"github.com/runnerbean/runnerbean/jobs/internal/nodeapi"
	"github.com/runnerbean/runnerbean/jobs/internal/web"
)

const (
	roleSubmit = "submit or operator"
	// maxSubmit is how many documents a node takes in one request.
	maxSubmit = 1000
	// maxArrays is how many arrays of one batch are submitted at the same time, and maxPosts
	// how many jobs are where a node takes no arrays.
	maxArrays = 4
	maxPosts  = 16
)

// submit sends the document of the job id to the API, and returns after the ledger's
// commit. The error is either ErrNotPut or ErrMaybePut.
func (c *Client) submit(ctx context.Context, id string, document []byte) error {
	return c.submitAfter(ctx, id, document, false)
}

// submitAfter is submit. before reports whether an answer that was about the job has been
// lost before.
func (c *Client) submitAfter(ctx context.Context, id string, document []byte, before bool) error {
	body, lost, err := c.ask(ctx, nodeapi.Request{Method: http.MethodPost, Path: apiJobs, Body: document})
	lost = lost || before
	if err == nil {
		if err = isAbout(body, id); err == nil {
			return nil
		}
		lost = true
	}
	return submitError(err, lost, id)
}

// isAbout returns an error unless the answer is the result document of the job id.
func isAbout(answer []byte, id string) error {
	res, err := parseResult(answer)
	if err == nil && res.ID != id {
		err = fmt.Errorf("%w: it is about the job %s", ErrNotResult, jsondoc.Excerpt(res.ID))
	}
	return err
}

// submitError says what is known of a job whose document was not accepted. lost reports
// whether an answer was lost before.
func submitError(err error, lost bool, id string) error {
	p, _ := errors.AsType[*Problem](err)
	if p == nil {
		return fmt.Errorf("%w: %w", putError(lost), err)
	}
	switch p.Status {
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		if p.Detail == "" {
			break // not from a node
		}
		return &Fault{Syntax: p.Status == http.StatusBadRequest, Pointer: p.Pointer, Message: p.Detail, ID: id}
	case http.StatusConflict:
		return fmt.Errorf("%w: %w", ErrNotPut, err)
	case http.StatusRequestEntityTooLarge:
		return fmt.Errorf("%w: %w: %w", ErrNotPut, ErrTooBig, err)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return fmt.Errorf("%w: %w: %w", putError(lost), ErrOverloaded, err)
	}
	return fmt.Errorf("%w: %w", putError(lost), withRole(err, roleSubmit))
}

func putError(lost bool) error {
	if lost {
		return ErrMaybePut
	}
	return ErrNotPut
}

// document is a job as it goes to the API.
type document struct {
	id   string
	text []byte
}

// submitAll submits many documents, many in one request, and returns an error or nil for
// each.
func (c *Client) submitAll(ctx context.Context, documents []document) []error {
	errs := make([]error, len(documents))
	ends := arrayEnds(documents)
	inTurn(len(ends), maxArrays, func(k int) {
		from := 0
		if k > 0 {
			from = ends[k-1]
		}
		part, outcomes := documents[from:ends[k]], errs[from:ends[k]]
		if err := panics.Call(func() error { copy(outcomes, c.submitArray(ctx, part)); return nil }); err != nil { // of Config.HTTP
			fillErrors(outcomes, fmt.Errorf("%w: %w", ErrMaybePut, err))
		}
	})
	return errs
}

// arrayEnds says behind which documents an array ends, so that each is as large as a node
// takes it.
func arrayEnds(documents []document) (ends []int) {
	from, size := 0, len("[")
	for i, d := range documents {
		more := len(d.text) + len(",")
		if i > from && (i-from == maxSubmit || size+more > MaxDocument) {
			ends, from, size = append(ends, i), i, len("[")
		}
		size += more
	}
	if len(documents) > 0 {
		ends = append(ends, len(documents))
	}
	return ends
}

// inTurn calls f for each number below n, at most width at the same time.
func inTurn(n, width int, f func(i int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(width, n) {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				f(int(i))
			}
		})
	}
	wg.Wait()
}

func fillErrors(errs []error, err error) {
	for i := range errs {
		errs[i] = err
	}
}

// submitArray submits documents in one request, and returns an error or nil for each. Where
// the array is refused as a whole, by a node that takes none or by a proxy with a lower
// limit, it submits each alone.
func (c *Client) submitArray(ctx context.Context, documents []document) []error {
	if len(documents) == 1 {
		return []error{c.submit(ctx, documents[0].id, documents[0].text)}
	}
	body := []byte{'['}
	for i, d := range documents {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, d.text...)
	}
	errs := make([]error, len(documents))
	answer, lost, err := c.ask(ctx, nodeapi.Request{Method: http.MethodPost, Path: apiJobs, Body: append(body, ']')})
	if isStatus(err, http.StatusBadRequest) || isStatus(err, http.StatusUnprocessableEntity) || isStatus(err, http.StatusRequestEntityTooLarge) {
		return c.submitEach(ctx, documents, lost)
	}
	var all submitted
	if err == nil {
		if all, err = parseSubmitted(answer, len(documents)); err != nil {
			lost = true
		}
	}
	for i := range documents {
		if err == nil {
			errs[i] = c.outcome(all.Jobs[i], lost, documents[i].id)
		} else {
			errs[i] = submitError(err, lost, documents[i].id)
		}
	}
	return errs
}

// submitEach submits each document alone.
func (c *Client) submitEach(ctx context.Context, documents []document, lost bool) []error {
	errs := make([]error, len(documents))
	inTurn(len(documents), maxPosts, func(i int) {
		d := documents[i]
		if err := panics.Call(func() error { errs[i] = c.submitAfter(ctx, d.id, d.text, lost); return nil }); err != nil {
			errs[i] = fmt.Errorf("%w: %w", ErrMaybePut, err)
		}
	})
	return errs
}

// submitted is the answer to an array.
type submitted struct {
	Jobs []submittedJob `json:"jobs"`
}

type submittedJob struct {
	Status int      `json:"status"`
	ID     string   `json:"id"`
	Error  *Problem `json:"error"`
}

// parseSubmitted reads the answer to an array of n documents.
func parseSubmitted(text []byte, n int) (submitted, error) {
	var all submitted
	if err := jsonv2.Unmarshal(text, &all); err != nil {
		return submitted{}, fmt.Errorf("%w: %w", ErrNotResult, err)
	}
	if len(all.Jobs) != n {
		return submitted{}, fmt.Errorf("%w: it is about %d jobs, not %d", ErrNotResult, len(all.Jobs), n)
	}
	return all, nil
}

// outcome returns nil if the job id was put.
func (c *Client) outcome(j submittedJob, lost bool, id string) error {
	switch {
	case j.Error != nil:
		j.Error.Status = j.Status
		j.Error.shorten()
		j.Error.conceal(c.cfg.Token)
		return submitError(j.Error, lost || mayBeDone(j.Error), id)
	case j.Status != http.StatusOK && j.Status != http.StatusCreated:
		return submitError(fmt.Errorf("%w: a job has the status %d", ErrNotResult, j.Status), true, id)
	case j.ID != id:
		return submitError(fmt.Errorf("%w: it is about the job %s", ErrNotResult, jsondoc.Excerpt(j.ID)), true, id)
	}
	return nil
}

// Ping returns nil if a job can be put now: at least one beanstalkd answers or, with
// Config.Durable, the API is ready and accepts the Token. Otherwise the error names each
// address and what is wrong with it. It tries once, so it suits a readiness probe; give
// ctx a deadline.
func (c *Client) Ping(ctx context.Context) error {
	if !c.cfg.Durable {
		if err := c.queue.Ping(ctx); err != nil {
			return fmt.Errorf("jobs: %w", err)
		}
		return nil
	}
	if err := c.pingAPI(ctx); err != nil {
		return fmt.Errorf("jobs: %s: %w", c.api.Base(), web.Explained(err))
	}
	return nil
}

// pingAPI asks whether the node is ready, and sends a document without members. That is
// refused as invalid, unless the token or the node does not allow to submit jobs at all.
func (c *Client) pingAPI(ctx context.Context) error {
	ready, err := c.api.Do(ctx, nodeapi.Request{Method: http.MethodGet, Path: "/readyz", MaxAnswer: maxAnswer})
	if err == nil {
		err = c.refusal(ready)
	}
	if err != nil {
		return err
	}
	a, err := c.api.Do(ctx, nodeapi.Request{Method: http.MethodPost, Path: apiJobs, Body: []byte("{}"), MaxAnswer: maxAnswer})
	if err != nil {
		return err
	}
	switch err := c.refusal(a); {
	case err == nil:
		return fmt.Errorf("%w: it accepts a document that is not a job", ErrNotResult)
	case !isStatus(err, http.StatusUnprocessableEntity):
		return withRole(err, roleSubmit)
	}
	return nil
}
