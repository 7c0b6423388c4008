package jobs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	jsonv2 "github.com/go-json-experiment/json"

	"github.com/runnerbean/runnerbean/internal/signature"
	"github.com/runnerbean/runnerbean/jobs/internal/web"
)

var (
	// ErrNotResult is returned if a URL answers with success, but with something other
	// than a result document.
	ErrNotResult = errors.New("not a result document")
	// ErrResultTooLarge is returned for a result of more than Config.MaxResult
	// bytes.
	ErrResultTooLarge = errors.New("result is too large")

	errIdle = errors.New("nothing came for too long")
)

const (
	maxProblem    = 1 << 20 // bytes of an error answer
	maxPage       = 4 << 10 // bytes of one that is a page
	maxRetryAfter = time.Minute
)

// Result reads the result document at url once, whether the job has ended or not.
// An error answer becomes a [*Problem]. Its status 404 means that no node knows
// the job, or not yet.
func (c *Client) Result(ctx context.Context, url string) (Result, error) {
	if _, err := web.ParseURL(url); err != nil {
		return Result{}, fmt.Errorf("jobs: result: %w", err)
	}
	a, err := c.get(ctx, url, 0)
	if err != nil {
		return Result{}, fmt.Errorf("jobs: result %s: %w", web.WithoutQuery(url), err)
	}
	return a.result, nil
}

// answer is the answer to a GET of a result URL.
type answer struct {
	result Result
	// retryAfter is when the server wants to be asked again; 0 if it does not
	// say.
	retryAfter time.Duration
}

// get reads a result document. The server may delay its answer for hold, until the
// state of the job changes.
func (c *Client) get(ctx context.Context, url string, hold time.Duration) (answer, error) {
	header := http.Header{"Accept": {"application/json"}, "Cache-Control": {"no-cache"}}
	if hold > 0 {
		header.Set("Prefer", "wait="+strconv.Itoa(int(hold.Seconds())))
	}
	resp, err := c.open(ctx, url, header, max(c.cfg.Idle, hold))
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	a := answer{retryAfter: retryAfter(resp.Header, time.Now())}
	if resp.StatusCode/100 != 2 {
		return a, problem(resp)
	}
	a.result, err = readResult(resp.Body, c.cfg.MaxResult)
	signFiles(a.result.Artifacts, url)
	return a, elsewhere(err, url, resp)
}

// elsewhere adds to an error that the answer came from another server, to which the
// request was redirected.
func elsewhere(err error, asked string, resp *http.Response) error {
	if !errors.Is(err, ErrNotResult) || resp.Request == nil {
		return err
	}
	if u, e := web.ParseURL(asked); e != nil || strings.EqualFold(u.Host, resp.Request.URL.Host) {
		return err
	}
	err = fmt.Errorf("%w, from %s after a redirect", err, web.WithoutQuery(resp.Request.URL.String()))
	return &web.Lasting{Err: err, Advice: web.AdviceRedirect}
}

// readResult reads a result document of at most limit bytes.
func readResult(r io.Reader, limit int64) (Result, error) {
	text, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return Result{}, err
	}
	if int64(len(text)) > limit {
		return Result{}, fmt.Errorf("%w: more than %d bytes", ErrResultTooLarge, limit)
	}
	return parseResult(text)
}

// parseResult reads a result document. It ignores unknown members, because they may
// come from a newer node.
func parseResult(text []byte) (Result, error) {
	var res Result
	if err := jsonv2.Unmarshal(text, &res); err != nil {
		return Result{}, fmt.Errorf("%w: %w", ErrNotResult, err)
	}
	if res.ID == "" || res.State == "" {
		return Result{}, fmt.Errorf("%w: it has no id or state", ErrNotResult)
	}
	return res, nil
}

// problem reads an error answer.
func problem(resp *http.Response) *Problem {
	p := &Problem{}
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	switch {
	case kind == "application/problem+json":
		text, _ := io.ReadAll(io.LimitReader(resp.Body, maxProblem))
		if jsonv2.Unmarshal(text, p) != nil {
			p = &Problem{}
		}
	case resp.StatusCode == http.StatusBadRequest && speaksHTTPS(resp):
		p.Detail = web.AdviceHTTPS
	}
	p.Status = resp.StatusCode
	if p.Title == "" {
		p.Title = http.StatusText(resp.StatusCode)
	}
	p.shorten()
	if resp.Request != nil {
		p.conceal(resp.Request.URL.Query().Get(signature.ParamSignature))
	}
	return p
}

// speaksHTTPS reports whether the answer is that of an HTTPS port to plain HTTP, in
// the words of Go, nginx and Apache.
func speaksHTTPS(resp *http.Response) bool {
	if resp.Request != nil && resp.Request.URL.Scheme != "http" {
		return false
	}
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxPage))
	return bytes.Contains(text, []byte("HTTP request")) && bytes.Contains(text, []byte("HTTPS")) ||
		bytes.Contains(text, []byte("plain HTTP to an SSL-enabled server port"))
}

// retryAfter returns the wait that the header Retry-After asks for, in seconds or
// as a date (RFC 9110, section 10.2.3), at most maxRetryAfter.
func retryAfter(h http.Header, now time.Time) time.Duration {
	v := h.Get("Retry-After")
	var d time.Duration
	if n, err := strconv.ParseUint(v, 10, 31); err == nil {
		d = time.Duration(n) * time.Second
	} else if t, err := http.ParseTime(v); err == nil {
		d = t.Sub(now)
	}
	return min(max(d, 0), maxRetryAfter)
}

// open sends a GET. The answer fails with errIdle if nothing comes for idle,
// before or after the header. The caller closes its body.
func (c *Client) open(ctx context.Context, url string, header http.Header, idle time.Duration) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(idle, func() { cancel(errIdle) })
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err == nil {
		req.Header = header
		var resp *http.Response
		if resp, err = c.cfg.HTTP.Do(req); err == nil {
			resp.Body = &idleBody{ReadCloser: resp.Body, ctx: ctx, cancel: cancel, timer: timer, idle: idle}
			return resp, nil
		}
	}
	err = web.Explained(err)
	timer.Stop()
	if errors.Is(context.Cause(ctx), errIdle) {
		err = errIdle
	}
	cancel(nil)
	return nil, err
}

// idleBody is a body whose Read fails with errIdle when nothing comes for idle.
type idleBody struct {
	io.ReadCloser
	ctx    context.Context // of the request
	cancel context.CancelCauseFunc
	timer  *time.Timer
	idle   time.Duration
}

func (w *idleBody) Read(p []byte) (int, error) {
	n, err := w.ReadCloser.Read(p)
	if n > 0 {
		w.timer.Reset(w.idle)
	}
	if err != nil && err != io.EOF && errors.Is(context.Cause(w.ctx), errIdle) {
		err = errIdle
	}
	return n, err
}

// allow sets how long the body may be silent from now on.
func (w *idleBody) allow(idle time.Duration) {
	w.idle = idle
	w.timer.Reset(idle)
}

func (w *idleBody) Close() error {
	w.timer.Stop()
	w.cancel(nil)
	return w.ReadCloser.Close()
}
