package jobs

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"net/http"
	"time"
)

// Config says where a client puts its jobs and where their results will be.
type Config struct {
	// Beanstalkd lists addresses, host:port. A job goes to the first that
	// answers. Default 127.0.0.1:11300.
	Beanstalkd []string
	// Prefix begins every tube name; the nodes must have the same. Default
	// "runnerbean".
	Prefix string
	// BaseURL is what result URLs begin with: the address of the node or of
	// the load balancer before the nodes. Default http://127.0.0.1:8420.
	BaseURL string
	// HTTP fetches results. It must not limit the time of a whole answer if
	// Follow is to use Server-Sent Events. Default a client of its own.
	HTTP *http.Client
	// Grace is how long Wait and Follow take "404 not found" for "not yet": a
	// job that was just put may not have reached the ledger. Default 30 s.
	Grace time.Duration
	// Idle is how long a connection may be silent before it is given up; nodes
	// send a sign of life every 15 s. Default 60 s.
	Idle time.Duration
	// MaxResult is the size in bytes of the largest result that is read.
	// Default 64 MiB.
	MaxResult int64
	// Logger hears of outages. Default slog.Default().
	Logger *slog.Logger
}

// Client puts jobs and follows their results. It is safe for concurrent use.
type Client struct {
	cfg Config
}

var errNotBuilt = errors.New("jobs: not built yet")

// New makes a client. It connects when it is first used; the caller closes it.
func New(cfg Config) (*Client, error) { return &Client{cfg: cfg}, nil }

// Close ends the client's connections.
func (c *Client) Close() error { return nil }

// Enqueue puts a job on the inbox tube and returns it as it was put.
func (c *Client) Enqueue(ctx context.Context, job Job) (Job, error) { return job, errNotBuilt }

// EnqueueBatch puts many jobs, pipelined.
func (c *Client) EnqueueBatch(ctx context.Context, batch []Job) ([]Job, error) {
	return nil, errNotBuilt
}

// Result reads the result document at url once, final or not.
func (c *Client) Result(ctx context.Context, url string) (Result, error) {
	return Result{}, errNotBuilt
}

// Wait blocks until the job whose result is at url has come to its end.
func (c *Client) Wait(ctx context.Context, url string) (Result, error) {
	return Result{}, errNotBuilt
}

// Follow yields the states of the job whose result is at url as they change.
func (c *Client) Follow(ctx context.Context, url string) iter.Seq2[Result, error] {
	return func(yield func(Result, error) bool) { yield(Result{}, errNotBuilt) }
}
