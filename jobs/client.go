package jobs

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/internal/queue"
)

// Config says where a client puts its jobs and where their results will be. The
// zero Config is for a web server on the same machine as a node. The zero value of
// a field means its default.
type Config struct {
	// Beanstalkd lists addresses, host:port or unix:/PATH. A job goes to the first that
	// answers. Default 127.0.0.1:11300.
	Beanstalkd []string
	// Prefix begins every tube name. It must be the same on the nodes. Default
	// "runnerbean".
	Prefix string
	// BaseURL is what result URLs begin with: the address of the node or of
	// the load balancer before the nodes. Default http://127.0.0.1:8420.
	BaseURL string
	// MaxBody is the size in bytes of the largest document that beanstalkd
	// takes, where its option -z says so. Default [MaxQueued], at most
	// [MaxDocument].
	MaxBody int
	// Timeout bounds one command to beanstalkd and its answer. Default 5 s.
	Timeout time.Duration
	// HTTP fetches results. It must not limit the time of a whole answer if
	// Follow is to use Server-Sent Events. Default a client of its own.
	HTTP *http.Client
	// Grace is for how long Wait and Follow take "404 Not Found" as "not yet",
	// because a new job may not have reached the ledger. Default 30 s.
	Grace time.Duration
	// Idle is how long an HTTP connection may be silent before the client closes
	// it. Nodes send something every 15 s. Default 60 s.
	Idle time.Duration
	// MaxResult is the size in bytes of the largest result that is read.
	// Default 64 MiB.
	MaxResult int64
	// Logger gets a warning when a result cannot be read. Default slog.Default().
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
	own   *http.Transport // nil where the caller brought a client
}

// New returns a client, which the caller closes. It connects when it is first
// used. The error is for a bad Config.
func New(cfg Config) (*Client, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	c := &Client{cfg: cfg, tube: queue.InboxTube(cfg.Prefix)}
	if err := queue.ValidTube(c.tube); err != nil {
		return nil, fmt.Errorf("jobs: prefix %q: %w", cfg.Prefix, err)
	}
	c.queue, err = queue.NewProducer(queue.Config{
		Addrs: cfg.Beanstalkd, Timeout: cfg.Timeout, MaxBody: cfg.MaxBody, Logger: cfg.Logger,
	})
	if err != nil {
		return nil, fmt.Errorf("jobs: %w", err)
	}
	if c.cfg.HTTP == nil {
		c.own = http.DefaultTransport.(*http.Transport).Clone()
		c.own.MaxIdleConnsPerHost = 64 // one web server follows many jobs at one node
		c.cfg.HTTP = &http.Client{Transport: c.own}
	}
	return c, nil
}

// withDefaults fills and checks a Config.
func (cfg Config) withDefaults() (Config, error) {
	if cfg.Grace < 0 || cfg.Idle < 0 || cfg.Timeout < 0 || cfg.MaxResult < 0 || cfg.MaxBody < 0 {
		return cfg, errors.New("jobs: negative time or size in Config")
	}
	cfg.Prefix = cmp.Or(cfg.Prefix, defaultPrefix)
	cfg.BaseURL = strings.TrimRight(cmp.Or(cfg.BaseURL, defaultBaseURL), "/")
	cfg.MaxBody = min(cmp.Or(cfg.MaxBody, MaxQueued), MaxDocument)
	cfg.Grace = cmp.Or(cfg.Grace, defaultGrace)
	cfg.Idle = cmp.Or(cfg.Idle, defaultIdle)
	cfg.MaxResult = cmp.Or(cfg.MaxResult, defaultMaxResult)
	cfg.Logger = cmp.Or(cfg.Logger, slog.Default())
	u, err := webURL(cfg.BaseURL)
	if err != nil {
		return cfg, fmt.Errorf("jobs: BaseURL: %w", err)
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return cfg, errors.New("jobs: BaseURL must have neither user, query nor fragment")
	}
	return cfg, nil
}

// webURL parses an absolute http or https URL.
func webURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil {
		return nil, err
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return nil, fmt.Errorf("%q is not an absolute http or https URL", s)
	}
	return u, nil
}

// Close closes the client's connections. It does not end a Follow or Wait that is
// under way: their contexts do.
func (c *Client) Close() error {
	if c.own != nil {
		c.own.CloseIdleConnections()
	}
	return c.queue.Close()
}
