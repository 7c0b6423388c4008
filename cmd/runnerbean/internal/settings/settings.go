// Package settings reads and checks the environment variables of Runnerbean.
package settings

import (
	"iter"
	"net/url"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/internal/bytesize"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
)

// Settings are all environment variables of a node. To add one, add a field here, a
// line in docs/operations.md, and its use. The tags say:
//
//	env         the name, without RUNNERBEAN_
//	envDefault  the default
//	help        what "runnerbean help config" prints
//	path        "true": a file or folder; it is made absolute, and ~ is the home folder
//	choices     the allowed values, which may be written in any case
//	min, max    the bounds of a number, time span or size
//	also        a value outside the bounds, and what it means
type Settings struct {
	Beanstalkd    []string      `env:"BEANSTALKD" envDefault:"127.0.0.1:11300" help:"beanstalkd servers, host:port or unix:/PATH, comma-separated"`
	Prefix        string        `env:"PREFIX" envDefault:"runnerbean" help:"prefix of all tube names"`
	Inbox         string        `env:"INBOX" envDefault:"shared" choices:"shared,node" help:"shared: take documents from the inbox of all nodes and from the node's own; node: only from its own"`
	Node          string        `env:"NODE" help:"name of this node (default: the host name)"`
	Data          string        `env:"DATA" path:"true" help:"folder for ledger, results and scratch (default: $STATE_DIRECTORY, else ~/.local/state/runnerbean)"`
	Programs      string        `env:"PROGRAMS" path:"true" help:"folder of the installed programs (default: ~/.local/share/runnerbean/programs, for a system service /usr/local/lib/runnerbean/programs)"`
	Slots         int           `env:"SLOTS" envDefault:"-1" min:"0" max:"1024" also:"-1 for one per processor" help:"programs that run at once; 0: publish only, -1: one per processor"`
	Listen        string        `env:"LISTEN" envDefault:"127.0.0.1:8420" help:"address of the HTTP server"`
	BaseURL       string        `env:"BASE_URL" help:"beginning of all result URLs (default: http:// or, with TLS, https:// and the listen address)"`
	FormerURLs    []string      `env:"FORMER_URLS" help:"base URLs that the pool had before and the ledger does not know, comma-separated: results there are not delivered"`
	Ledger        string        `env:"LEDGER" help:"record of jobs, sqlite:PATH, or for several machines postgres://USER@HOST/DATABASE (default: ledger.db in the data folder)"`
	Store         string        `env:"STORE" help:"larger results, logs and files, file:///PATH, or for several machines s3://BUCKET/PREFIX?endpoint=URL (default: store in the data folder)"`
	Cache         bytesize.Size `env:"CACHE" envDefault:"1GiB" help:"copies in the data folder of results and files of an s3:// store that are read more than once; 0: none"`
	FetchAllow    []string      `env:"FETCH_ALLOW" help:"networks from which inputs may come besides the public ones, such as 10.1.0.0/16,127.0.0.1"`
	FetchProxy    string        `env:"FETCH_PROXY" help:"proxy for inputs, deliveries and webhooks, http://[USER:PASSWORD@]HOST:PORT; those of the environment are not used"`
	Webhook       string        `env:"WEBHOOK" help:"URL that gets a webhook at the end of every job, besides the URLs that jobs name"`
	WebhookKey    string        `env:"WEBHOOK_KEY_FILE" path:"true" help:"file of the key that signs webhooks (default: the key of the ledger, which is copied to webhook.key in the data folder)"`
	Token         string        `env:"TOKEN" help:"token with the role operator; the command line sends it to the node"`
	TokenFile     string        `env:"TOKEN_FILE" path:"true" help:"file that holds the token, instead of TOKEN"`
	TokensFile    string        `env:"TOKENS_FILE" path:"true" help:"file of the tokens of viewers, operators and submitters; see \"runnerbean token\""`
	Results       string        `env:"RESULTS" envDefault:"open" choices:"open,signed" help:"open: a result's URL is enough to read it; signed: the URL must also be signed"`
	FastResults   bool          `env:"FAST_RESULTS" envDefault:"true" help:"true: results in memory are answered before the router of the HTTP server; false: by the router"`
	URLKeyFile    string        `env:"URL_KEY_FILE" path:"true" help:"file of the keys that sign the URLs of results, one per line, the newest first"`
	TLSCert       string        `env:"TLS_CERT" path:"true" help:"file of the TLS certificate of the HTTP server"`
	TLSKey        string        `env:"TLS_KEY" path:"true" help:"file of the certificate's key"`
	Timeout       time.Duration `env:"TIMEOUT" envDefault:"1h" min:"1ms" max:"365d" help:"time limit of one attempt if neither job nor program sets one"`
	Attempts      int           `env:"ATTEMPTS" envDefault:"3" min:"1" max:"100" help:"number of attempts that may fail if neither job nor program sets it"`
	Grace         time.Duration `env:"GRACE" envDefault:"10s" min:"0" max:"1d" help:"time that a program has to end between SIGTERM and SIGKILL"`
	ShutdownGrace time.Duration `env:"SHUTDOWN_GRACE" envDefault:"30s" min:"0" max:"7d" help:"time that running jobs have to finish when the node is stopped"`
	Lease         time.Duration `env:"LEASE" envDefault:"20s" min:"1s" max:"1d" help:"time without a heartbeat after which this node counts as dead and its jobs run elsewhere"`
	Stall         time.Duration `env:"STALL" envDefault:"15m" min:"0" max:"365d" help:"time without output and CPU use after which a program is stopped; 0: never"`
	MaxResult     bytesize.Size `env:"MAX_RESULT" envDefault:"16MiB" min:"1" help:"largest output of a program on stdout"`
	LedgerResults bytesize.Size `env:"LEDGER_RESULTS" envDefault:"64KiB" min:"0" max:"1MiB" help:"largest result that the ledger holds; larger ones are files of the store; 0: all are"`
	MaxScratch    bytesize.Size `env:"MAX_SCRATCH" envDefault:"10GiB" min:"64KiB" also:"0 for no limit" help:"largest scratch folder of one attempt; 0: no limit"`
	MaxMemory     bytesize.Size `env:"MAX_MEMORY" envDefault:"0" min:"1MiB" also:"0 for no limit" help:"memory that one program may use; 0: no limit"`
	MaxOpenFiles  uint64        `env:"MAX_OPEN_FILES" envDefault:"4096" min:"16" help:"files that one program may have open"`
	MinFree       bytesize.Size `env:"MIN_FREE" envDefault:"256MiB" help:"free disk space below which the node takes no work and no new jobs"`
	Keep          jobs.Keep     `env:"KEEP" help:"time after its end for which a job is kept if neither job nor program says it: 90d, or by state succeeded=90d,failed=30d (default: forever)"`
	Proxies       []string      `env:"PROXIES" help:"addresses or networks of the proxies whose X-Forwarded-For is believed, comma-separated (default: this machine and private networks)"`
	CORS          []string      `env:"CORS" help:"origins whose pages may use the API; results, schemas and scripts may be read from any"`
	Log           string        `env:"LOG" choices:"text,json" help:"text or json (default: text on a terminal, else json)"`
}

const (
	EnvPrefix = "RUNNERBEAN_"

	defaultURL = "http://127.0.0.1:8420" // RUNNERBEAN_URL

	webhookKeyName = "webhook.key" // in the data folder

	ledgerScheme = "sqlite:"

	ResultsOpen   = "open"
	ResultsSigned = "signed"
)

// LedgerPath returns the file of the ledger, or "" if it is in PostgreSQL.
func (s *Settings) LedgerPath() string {
	path, ok := strings.CutPrefix(s.Ledger, ledgerScheme)
	if !ok {
		return ""
	}
	return path
}

// LedgerFolder returns the folder of the ledger's file, or "" if it is in PostgreSQL.
func (s *Settings) LedgerFolder() string {
	if path := s.LedgerPath(); path != "" {
		return filepath.Dir(path)
	}
	return ""
}

// StoreFolder returns the folder of the store, or "" if it is a bucket.
func (s *Settings) StoreFolder() string {
	if store.IsBucket(s.Store) {
		return ""
	}
	if u, err := url.Parse(s.Store); err == nil && u.Scheme == "file" {
		return u.Path
	}
	return s.Store
}

// CacheFolder returns the folder of the copies of objects of a bucket.
func (s *Settings) CacheFolder() string { return filepath.Join(s.Data, "cache") }

// Caches reports whether the node keeps such copies.
func (s *Settings) Caches() bool { return s.Cache > 0 && store.IsBucket(s.Store) }

// NamesWebhookKey reports whether a setting names the file of the webhook key. Otherwise
// the key is that of the ledger, and WebhookKey is its copy in the data folder.
func (s *Settings) NamesWebhookKey() bool {
	return s.WebhookKey != filepath.Join(s.Data, webhookKeyName)
}

// Error says that a setting cannot work. The exit code is that of wrong usage.
type Error struct{ Err error }

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// Names returns the names of all settings of a node, with their prefix.
func Names() []string {
	var names []string
	for field := range fields(&Settings{}) {
		names = append(names, EnvPrefix+field.Tag.Get("env"))
	}
	return names
}

// fields returns the settable fields of s and their tags.
func fields(s *Settings) iter.Seq2[reflect.StructField, reflect.Value] {
	return func(yield func(reflect.StructField, reflect.Value) bool) {
		v := reflect.ValueOf(s).Elem()
		for i := range v.NumField() {
			if !yield(v.Type().Field(i), v.Field(i)) {
				return
			}
		}
	}
}

// GivenSettings returns an environment without blanks around values and without
// variables that are empty.
func GivenSettings(environ []string) map[string]string {
	given := map[string]string{}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if value = strings.TrimSpace(value); value != "" {
			given[name] = value
		}
	}
	return given
}
