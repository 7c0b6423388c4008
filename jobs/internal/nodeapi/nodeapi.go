// Package nodeapi sends single requests to the API of a node for package jobs. It knows
// HTTP and not what the answers mean.
package nodeapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

// Config of a Client. All fields but Token are required.
type Config struct {
	// Base is the URL of the API without a slash at its end.
	Base string
	// Token is sent to Base and nowhere else. It may be empty.
	Token string
	HTTP  *http.Client
	// Timeout bounds one request and its whole answer.
	Timeout time.Duration
}

// Client sends requests to one API. It is safe for concurrent use.
type Client struct {
	cfg  Config
	http http.Client
}

var (
	// ErrSlow is the error of an answer that has not come in Config.Timeout.
	ErrSlow = errors.New("no answer in time")
	// ErrNotSent is the error of a request of which nothing has reached the server.
	ErrNotSent = errors.New("nothing was sent")
	// ErrTooLarge is the error of an answer of more than Request.MaxAnswer bytes.
	ErrTooLarge = errors.New("answer is too large")

	errToken = errors.New("the token must have visible ASCII characters only, without spaces and line breaks")
)

// maxProblem is how much of the answer to a request that failed is read, in bytes.
const maxProblem = 1 << 20

// New returns a client. The error is for a token that no header can carry; it does not
// repeat the token.
func New(cfg Config) (*Client, error) {
	for i := range len(cfg.Token) {
		if c := cfg.Token[i]; c <= ' ' || c > '~' {
			return nil, errToken
		}
	}
	c := &Client{cfg: cfg, http: *cfg.HTTP}
	// A redirect would carry the token to an address that nobody has configured.
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c, nil
}

// Base returns Config.Base.
func (c *Client) Base() string { return c.cfg.Base }

// Request is a request to the API.
type Request struct {
	Method string
	// Path begins with a slash and may have a query.
	Path string
	// Body is JSON. A request without a body has nil.
	Body []byte
	// Key is the Idempotency-Key; may be empty.
	Key string
	// MaxAnswer is the size in bytes of the largest successful answer.
	MaxAnswer int64
}

// Answer is any answer, that of a redirect or an error too.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Do sends one request and reads the whole answer. The error is that of ctx if ctx has
// ended, and [context.DeadlineExceeded] in no other case. It is ErrNotSent too if that is
// certain.
func (c *Client) Do(ctx context.Context, r Request) (Answer, error) {
	if err := ctx.Err(); err != nil {
		return Answer{}, fmt.Errorf("%w: %w", ErrNotSent, err)
	}
	var asked, connected, taken atomic.Bool
	timed, cancel := context.WithTimeout(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { asked.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	}), c.cfg.Timeout)
	defer cancel()
	a, err := c.do(timed, r, &taken)
	switch {
	case err == nil:
		return a, nil
	case ctx.Err() != nil:
		err = ctx.Err()
	case timed.Err() != nil:
		err = fmt.Errorf("%s %s: %w: %v have passed", r.Method, c.cfg.Base, ErrSlow, c.cfg.Timeout)
	case errors.Is(err, context.DeadlineExceeded):
		err = errors.New(err.Error()) // a limit of Config.HTTP, not of the caller
	}
	// The time may be over before a transport asks for a connection. One of the caller's own
	// may have none, but takes the body.
	if !connected.Load() && (asked.Load() || r.Body != nil && !taken.Load()) {
		err = fmt.Errorf("%w: %w", ErrNotSent, err)
	}
	return a, err
}

// do sets taken once the transport has begun to read the body.
func (c *Client) do(ctx context.Context, r Request, taken *atomic.Bool) (Answer, error) {
	req, err := http.NewRequestWithContext(ctx, r.Method, c.cfg.Base+r.Path, bytes.NewReader(r.Body))
	if err != nil {
		return Answer{}, err
	}
	if r.Body != nil {
		req.GetBody = func() (io.ReadCloser, error) { return &watchedBody{bytes.NewReader(r.Body), taken}, nil }
		req.Body, _ = req.GetBody()
	}
	req.Header.Set("Accept", "application/json")
	if r.Body != nil {
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Prefer", "return=minimal")
	}
	if r.Key != "" {
		req.Header.Set("Idempotency-Key", r.Key)
	}
	if c.cfg.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.cfg.Token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer resp.Body.Close()
	a := Answer{Status: resp.StatusCode, Header: resp.Header}
	a.Body, err = read(resp, r.MaxAnswer)
	return a, err
}

// watchedBody notes that it is read.
type watchedBody struct {
	io.Reader
	taken *atomic.Bool
}

func (b *watchedBody) Read(p []byte) (int, error) {
	b.taken.Store(true)
	return b.Reader.Read(p)
}

func (b *watchedBody) Close() error { return nil }

// read reads a body. Of the answer to a request that failed only the beginning is kept.
func read(resp *http.Response, limit int64) ([]byte, error) {
	if resp.StatusCode >= http.StatusMultipleChoices {
		body, err := io.ReadAll(io.LimitReader(resp.Body, maxProblem))
		if err != nil {
			body = nil // the status says enough
		}
		return body, nil
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err == nil && int64(len(body)) > limit {
		err = fmt.Errorf("%w: more than %d bytes", ErrTooLarge, limit)
	}
	return body, err
}
