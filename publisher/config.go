package publisher

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/internal/store"
)

// MaxConnections is how many connections a node should have at most, even where the
// system allows more.
const MaxConnections = 32 << 10

// Config of a Publisher.
type Config struct {
	// Ledger and Store are read only; the caller closes them. Required.
	Ledger *ledger.Ledger
	Store  *store.Store
	// BaseURL is the beginning of the result URLs of this node. Required.
	BaseURL string
	// Node is the name of this node, for the pages and events.
	Node string
	// Proxies are the networks of proxies whose X-Forwarded-For field is believed. Default: this
	// machine and private networks.
	Proxies []netip.Prefix
	// Accept records documents that jobdoc.Complete has filled in, and returns after the
	// commit, with an answer to each. submitter is the name of their sender. Default: the
	// node takes no jobs.
	Accept func(ctx context.Context, documents [][]byte, submitter string) ([]ledger.Accepted, error)
	// Uploads is a folder for the files of packages while they come. Default: no batch may
	// come as a tar.
	Uploads string
	// Room returns why no package may come now, since a disk of the node is full, or nil.
	// Default: there is always room.
	Room func() error
	// Act applies a verb to at most 256 jobs. The argument by is the name of the
	// caller. Default: the node refuses all verbs.
	Act func(ctx context.Context, verb ledger.Verb, by string, targets []ledger.Target) ([]ledger.Acted, error)
	// Apart returns why ledger and store do not belong together any more. A result that is
	// absent then is not lost. Default: they always do.
	Apart func(context.Context) error
	// Revive makes one step of ledger.Dependents.Revive, and puts messages for the jobs
	// that are queued again. Default: that of the ledger, without messages.
	Revive func(ctx context.Context) (ledger.Revived, error)
	// Drain and Undrain drain a node, or with "" the whole queue, and let it take work
	// again. Default: the node refuses drains.
	Drain   func(ctx context.Context, node, by, reason string) error
	Undrain func(ctx context.Context, node, by string) error
	// Servers returns the state of each beanstalkd server as this node sees it.
	// Default: none.
	Servers func(ctx context.Context) []api.Server
	// Paused returns the tubes that are paused on beanstalkd. It must not block.
	// Default: none.
	Paused func() []api.PausedTube
	// Control changes the settings of a node. The argument by is the name of the
	// caller. The change is refused if expect is neither nil nor the time of the last
	// change. Default: the node refuses changes.
	Control func(ctx context.Context, node string, change func(*nodes.Control), by string, expect *time.Time) (nodes.Control, error)
	// Forget takes back the jobs that a dead node ran and deletes its rows. It returns
	// their number, or an error of package nodes. Default: the node refuses it.
	Forget func(ctx context.Context, node, by string) (int, error)
	// Ready returns why the node should get no traffic. Default: it is always ready.
	Ready func(ctx context.Context) error
	// TokensFile is the file of tokens with their roles, and Token is the token of an
	// operator. Default: every client is an operator.
	TokensFile, Token string
	// ReadOnly, where it is not empty, makes the node refuse writing requests with this
	// text: it says why, and what to set. Default: the node takes them.
	ReadOnly string
	// URLKeyFile is the file of keys that sign the URLs of results. With it, reading a
	// result without a signature needs the role of a viewer. Default: everybody with
	// the URL of a result may read it.
	URLKeyFile string
	// TLSCert and TLSKey are the files of the certificate and of its key. Default: Serve
	// speaks plain HTTP.
	TLSCert, TLSKey string
	// CORS lists the exact origins whose pages may use the API, each with a token of its
	// own. Pages of any origin may read results, schemas and scripts. Default: none.
	CORS []string
	// MaxStreams is how many event streams and held answers there may be at one time.
	// Default 20,000.
	MaxStreams int
	// Connections returns how many connections there may be at one time. It is called
	// for each new one. Event streams and held answers take at most seven eighths of
	// them, and a seventh as many files are sent at one time. Default [MaxConnections].
	Connections func() int
	// CacheBytes is how much memory results may take. Default 64 MiB.
	CacheBytes int64
	// NoFastResults makes every request for a result go through net/http and the
	// router. Default: a result in memory is answered before that.
	NoFastResults bool
	// Metrics serves /metrics. Default: the path does not exist.
	Metrics http.Handler
	// Observe is called after each request that comes to the router. route is the path
	// with names for its variable parts, or "other". status is 0 where the connection
	// was aborted. Default: it is not called.
	Observe func(route, method string, status int, took time.Duration)
	// Logger. Default slog.Default().
	Logger *slog.Logger
}

// fill sets the defaults.
func fill(cfg *Config) {
	cfg.BaseURL = strings.TrimRight(cfg.BaseURL, "/")
	if cfg.Ready == nil {
		cfg.Ready = func(context.Context) error { return nil }
	}
	if cfg.Room == nil {
		cfg.Room = func() error { return nil }
	}
	if cfg.Paused == nil {
		cfg.Paused = func() []api.PausedTube { return nil }
	}
	if cfg.Servers == nil {
		cfg.Servers = func(context.Context) []api.Server { return nil }
	}
	if cfg.MaxStreams == 0 {
		cfg.MaxStreams = 20_000
	}
	if cfg.Connections == nil {
		cfg.Connections = func() int { return MaxConnections }
	}
	if cfg.CacheBytes == 0 {
		cfg.CacheBytes = 64 << 20
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
}
