// Package apiclient is the HTTP client of /api/v1 for the command line.
package apiclient

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/terminal"
	"github.com/runnerbean/runnerbean/jobs"
)

// MaxAnswer is how much of one answer is read, in bytes.
const MaxAnswer = 64 << 20

// Client calls the API of one node.
type Client struct {
	Base      string       // URL of the node, without a slash at its end
	HTTP      *http.Client // sends the token to the node
	transport http.RoundTripper
}

// New returns a client of the node at base. It sends no token where token is "".
func New(base, token string) *Client {
	transport := &bearer{base: base + "/", token: token, next: http.DefaultTransport}
	return &Client{Base: base, transport: transport, HTTP: &http.Client{Timeout: time.Minute, Transport: transport}}
}

// FromEnvironment returns a client of the node that the environment names.
func FromEnvironment() (*Client, error) {
	base, token, err := settings.ReadClient()
	if err != nil {
		return nil, err
	}
	return New(base, token), nil
}

// Reader returns a client of results with the same token and without a time limit. The
// caller closes it.
func (c *Client) Reader() (*jobs.Client, error) {
	return jobs.New(jobs.Config{BaseURL: c.Base, HTTP: &http.Client{Transport: c.transport}})
}

// bearer sends a token to the node at base, and to no other server that a URL or a
// redirect leads to.
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

// Get decodes the JSON answer of an API path into out.
func (c *Client) Get(ctx context.Context, path string, out any) error {
	return c.Call(ctx, http.MethodGet, path, nil, out)
}

// GetAt is Get, and returns when the node answered, to the second by its own clock.
func (c *Client) GetAt(ctx context.Context, path string, out any) (time.Time, error) {
	header, err := c.call(ctx, http.MethodGet, path, nil, out)
	if err != nil {
		return time.Time{}, err
	}
	at, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		at = time.Now() // a proxy may have removed the date
	}
	return at, nil
}

// Post sends a JSON body to an API path, and decodes the answer into out.
func (c *Client) Post(ctx context.Context, path string, body []byte, out any) error {
	return c.Call(ctx, http.MethodPost, path, body, out)
}

// Call sends a request with any method; see [Client.Get] and [Client.Post]. An answer
// of 300 and more is an error, see [Problem].
func (c *Client) Call(ctx context.Context, method, path string, body []byte, out any) error {
	_, err := c.call(ctx, method, path, body, out)
	return err
}

// PostTar sends a tar to an API path without a time limit, and decodes the answer into out.
func (c *Client) PostTar(ctx context.Context, path string, tar io.Reader, out any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Base+path, tar)
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/x-tar")
	_, err = c.do(&http.Client{Transport: c.transport}, request, out)
	return err
}

func (c *Client) call(ctx context.Context, method, path string, body []byte, out any) (http.Header, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.Base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if method != http.MethodGet {
		request.Header.Set("Content-Type", "application/json")
	}
	return c.do(c.HTTP, request, out)
}

func (c *Client) do(client *http.Client, request *http.Request, out any) (http.Header, error) {
	request.Header.Set("Accept", "application/json")
	answer, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("%w; is a node running at %s? (see RUNNERBEAN_URL)", err, c.Base)
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(io.LimitReader(answer.Body, MaxAnswer))
	if err != nil {
		return nil, err
	}
	if answer.StatusCode >= 300 {
		return nil, Problem(answer, data)
	}
	return answer.Header, json.Unmarshal(data, out)
}

// Problem returns the error that an unsuccessful answer describes, with advice where
// there is any. data is the body of the answer.
func Problem(answer *http.Response, data []byte) error {
	p := &jobs.Problem{}
	if json.Unmarshal(data, p) != nil || p.Title == "" {
		return errors.New(answer.Status)
	}
	if p.Status == http.StatusUnauthorized {
		return fmt.Errorf("%w; set RUNNERBEAN_TOKEN to a token from its operator", p)
	}
	if after := answer.Header.Get("Retry-After"); after != "" && p.Status == http.StatusServiceUnavailable {
		return fmt.Errorf("%w; try again in %s s", p, terminal.Safe(terminal.Shorten(after, 20)))
	}
	return p
}

// NodePath returns the API path of a node.
func NodePath(node string) string { return "/api/v1/nodes/" + url.PathEscape(node) }
