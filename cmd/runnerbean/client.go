package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/terminal"
	"github.com/runnerbean/runnerbean/jobs"
)

// maxAnswer bounds what the command line reads of one answer, in bytes.
const maxAnswer = 64 << 20

// client talks to a node's API.
type client struct {
	base      string
	transport http.RoundTripper
	http      *http.Client
}

// newClient returns a client of the node at base that shows the token, unless it is "".
func newClient(base, token string) *client {
	transport := &bearer{base: base + "/", token: token, next: http.DefaultTransport}
	return &client{base: base, transport: transport, http: &http.Client{Timeout: time.Minute, Transport: transport}}
}

// reader reads results with the same token, however long that takes. The
// caller closes it.
func (c *client) reader() (*jobs.Client, error) {
	return jobs.New(jobs.Config{BaseURL: c.base, HTTP: &http.Client{Transport: c.transport}})
}

// bearer shows a token to the node that it is for, and to no other that a URL
// or a redirect may lead to.
type bearer struct {
	base, token string
	next        http.RoundTripper
}

func (b *bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	if b.token != "" && strings.HasPrefix(r.URL.String(), b.base) {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer "+b.token)
	}
	return b.next.RoundTrip(r)
}

// get reads the JSON answer of an API path into out.
func (c *client) get(ctx context.Context, path string, out any) error {
	return c.call(ctx, http.MethodGet, path, nil, out)
}

func (c *client) post(ctx context.Context, path string, body []byte, out any) error {
	return c.call(ctx, http.MethodPost, path, body, out)
}

func (c *client) call(ctx context.Context, method, path string, body []byte, out any) error {
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Accept", "application/json")
	if method != http.MethodGet {
		request.Header.Set("Content-Type", "application/json")
	}
	answer, err := c.http.Do(request)
	if err != nil {
		return fmt.Errorf("%w; is a node running at %s? (see RUNNERBEAN_URL)", err, c.base)
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return err
	}
	if answer.StatusCode >= 300 {
		return problem(answer, data)
	}
	return json.Unmarshal(data, out)
}

// problem makes an error of an answer that is not a success.
func problem(answer *http.Response, data []byte) error {
	p := &jobs.Problem{}
	if json.Unmarshal(data, p) != nil || p.Title == "" {
		return errors.New(answer.Status)
	}
	if p.Status == http.StatusUnauthorized {
		return fmt.Errorf("%w; set RUNNERBEAN_TOKEN to one that its operator has given you", p)
	}
	if after := answer.Header.Get("Retry-After"); after != "" && p.Status == http.StatusServiceUnavailable {
		return fmt.Errorf("%w; it may be worth trying again in %s s", p, terminal.Safe(terminal.Shorten(after, 20)))
	}
	return p
}
