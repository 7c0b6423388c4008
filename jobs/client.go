package jobs

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/runnerbean/runnerbean/internal/queue"
	"github.com/runnerbean/runnerbean/jobs/internal/nodeapi"
)

// Config says where a client puts its jobs and where their results will be. The
// zero Config is for a web server on the same machine as a node. The zero value of
// a field means its default.
type Config struct {
	// Beanstalkd lists addresses, host:port or unix:/PATH. A job goes to the first that
	// answers. Default 127.0.0.1:11300.
	Beanstalkd []string
	// Copies is on how many of the servers of Beanstalkd each job is put, so that any
	// Copies-1 of them may be lost with their disks before a node has recorded it. Nodes run a
	// job once, however many copies come. Each copy costs what a put costs, one after the
	// other. If fewer servers take the job, the error is [ErrMaybePut]: list more servers
	// than copies, so that puts go on while one is away. Durable needs no copies and makes
	// none. Default 1.
	Copies int
	// Prefix begins every tube name. It must be the same on the nodes. Default
	// "runnerbean".
	Prefix string
	// BaseURL is what result URLs begin with: the address of the node or of
	// the load balancer before the nodes. Default http://127.0.0.1:8420.
	BaseURL string
	// Node puts jobs on the inbox of the node of this name only, for nodes that share no
	// ledger: each has a client, with a BaseURL that leads to it. Default: any node takes a
	// job. Durable asks the node at API.
	Node string
	// API is where the API of the nodes is, if it is not under BaseURL. Default BaseURL.
	API string
	// Durable submits jobs to the API and not to beanstalkd: Enqueue returns after the
	// ledger's commit, and at once tells a program that no node has. It takes longer, and
	// needs a node that is up. EnqueueBatch sends up to 1,000 jobs in one request. While none is, Enqueue tries on until the deadline of its
	// context, for at most 30 s.
	Durable bool
	// Token is the bearer token for the API, as runnerbean token add prints it. It is
	// sent to the API only, never to where a redirect leads, and not for results.
	Token string
	// MaxBody is the size in bytes of the largest document that beanstalkd
	// takes, where its option -z says so. Default [MaxQueued], at most
	// [MaxDocument].
	MaxBody int
	// Timeout bounds one command to beanstalkd or one request to the API, and its
	// answer. Default 5 s.
	Timeout time.Duration
	// Conns is the largest number of connections to each beanstalkd. Each carries the
	// puts of many callers. Default 8.
	Conns int
	// HTTP fetches results. It must not limit the time of a whole answer if
	// Follow is to use Server-Sent Events. Default a client of its own with a copy of
	// http.DefaultTransport, or with that one itself if the application has wrapped it.
	HTTP *http.Client
	// Grace is for how long Wait and Follow ask again while the answer is "404 Not Found",
	// because a new job may not have reached the ledger, or 200 with something else than
	// a result, such as a maintenance page. It counts from the first such answer in a
	// row. Default 30 s.
	Grace time.Duration
	// Idle is how long an HTTP connection may be silent before the client closes
	// it. Nodes send something every 15 s. Default 60 s.
	Idle time.Duration
	// MaxResult is the size in bytes of the largest result that is read.
	// Default 64 MiB.
	MaxResult int64
	// Wrap returns a function that stands around all puts: it may change jobs, count, time,
	// log and refuse. New calls it once, with the function that puts the jobs. Default none.
	Wrap func(next EnqueueFunc) EnqueueFunc
	// Logger gets a warning when a result cannot be read or the API does not answer. Default
	// slog.Default().
	Logger *slog.Logger
}

// Defaults of Config.
const (
	defaultPrefix    = "runnerbean"
	defaultBaseURL   = "http://127.0.0.1:8420"
	defaultGrace     = 30 * time.Second
	defaultIdle      = time.Minute
	defaultMaxResult = 64 << 20
)

// Client puts jobs and follows their results. It is safe for concurrent use.
type Client struct {
	cfg   Config
	tube  string
	queue *queue.Producer
	own   *http.Transport // nil where the application brought a transport
	api   *nodeapi.Client
	// wrapped is what Config.Wrap has returned; nil without it.
	wrapped EnqueueFunc
}

// Close closes the client's own connections. It does not end a Follow or Wait that is
// under way: their contexts do.
func (c *Client) Close() error {
	if c.own != nil {
		c.own.CloseIdleConnections()
	}
	return c.queue.Close()
}
