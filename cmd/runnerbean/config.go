package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/caarlos0/env/v10"
	"github.com/lmittmann/tint"
	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"github.com/runnerbean/runnerbean/worker"
)

// settings are all environment variables of a node; the help tags are what
// "runnerbean help config" prints.
type settings struct {
	Beanstalkd    []string      `env:"BEANSTALKD" envDefault:"127.0.0.1:11300" help:"beanstalkd servers, host:port or unix:/PATH, comma-separated"`
	Prefix        string        `env:"PREFIX" envDefault:"runnerbean" help:"what all tube names begin with"`
	Inbox         string        `env:"INBOX" envDefault:"shared" help:"shared: documents are taken from the inbox of all nodes and from the node's own; node: from its own alone"`
	Node          string        `env:"NODE" help:"name of this node (default: the host name)"`
	Data          string        `env:"DATA" help:"folder for ledger, results and scratch (default: $STATE_DIRECTORY, else ~/.local/state/runnerbean)"`
	Programs      string        `env:"PROGRAMS" help:"folder of the installed programs (default: ~/.local/share/runnerbean/programs, for a system service /usr/local/lib/runnerbean/programs)"`
	Slots         int           `env:"SLOTS" envDefault:"-1" help:"programs that run at once; 0: publish only, -1: one per processor"`
	Listen        string        `env:"LISTEN" envDefault:"127.0.0.1:8420" help:"address of the HTTP server"`
	BaseURL       string        `env:"BASE_URL" help:"what result URLs begin with (default: http:// or, with TLS, https:// and the listen address)"`
	Ledger        string        `env:"LEDGER" help:"record of jobs, sqlite:PATH (default: ledger.db in the data folder)"`
	Store         string        `env:"STORE" help:"results and logs, file:///PATH (default: store in the data folder)"`
	FetchAllow    []string      `env:"FETCH_ALLOW" help:"networks that inputs may come from beyond the public ones, such as 10.1.0.0/16,127.0.0.1"`
	FetchProxy    string        `env:"FETCH_PROXY" secret:"true" help:"proxy for inputs, deliveries and webhooks, http://[USER:PASSWORD@]HOST:PORT; those of the environment are not used"`
	Webhook       string        `env:"WEBHOOK" help:"URL that is told of the end of every job, besides those that jobs name"`
	WebhookKey    string        `env:"WEBHOOK_KEY_FILE" help:"file of the key that signs webhooks (default: webhook.key in the data folder, made at the first start)"`
	Token         string        `env:"TOKEN" secret:"true" help:"a token whose holder may read the pages and give orders; for the command line, the one that it shows"`
	TokenFile     string        `env:"TOKEN_FILE" help:"file that holds the token, instead of TOKEN"`
	TokensFile    string        `env:"TOKENS_FILE" help:"file of the tokens of viewers, operators and submitters; see \"runnerbean token\""`
	Results       string        `env:"RESULTS" envDefault:"open" help:"open: who knows a result's URL may read it; signed: the URL must be signed, too"`
	URLKeyFile    string        `env:"URL_KEY_FILE" help:"file of the keys that sign the URLs of results, one in a line, the newest first"`
	TLSCert       string        `env:"TLS_CERT" help:"file of the certificate with which the HTTP server speaks TLS"`
	TLSKey        string        `env:"TLS_KEY" help:"file of the certificate's key"`
	Timeout       time.Duration `env:"TIMEOUT" envDefault:"1h" help:"limit of one attempt where neither job nor program names one"`
	Attempts      int           `env:"ATTEMPTS" envDefault:"3" help:"attempts that may end in error where neither job nor program says"`
	Grace         time.Duration `env:"GRACE" envDefault:"10s" help:"time that a program has to end between SIGTERM and SIGKILL"`
	ShutdownGrace time.Duration `env:"SHUTDOWN_GRACE" envDefault:"30s" help:"time that running jobs have to finish when the node is stopped"`
	Lease         time.Duration `env:"LEASE" envDefault:"20s" help:"time without a heartbeat after which a node is taken for dead and its jobs run elsewhere"`
	Stall         time.Duration `env:"STALL" envDefault:"15m" help:"a program that for so long writes nothing and uses no processor is stopped; 0: never"`
	MaxResult     worker.Size   `env:"MAX_RESULT" envDefault:"16MiB" help:"what a program may write to stdout"`
	MaxScratch    worker.Size   `env:"MAX_SCRATCH" envDefault:"10GiB" help:"what one attempt may keep on disk; 0: no limit"`
	MaxMemory     worker.Size   `env:"MAX_MEMORY" envDefault:"0" help:"memory that one program may use; 0: no limit"`
	MaxOpenFiles  uint64        `env:"MAX_OPEN_FILES" envDefault:"4096" help:"files that one program may have open"`
	MinFree       worker.Size   `env:"MIN_FREE" envDefault:"256MiB" help:"free disk space below which no work and no new jobs are taken"`
	CORS          []string      `env:"CORS" help:"origins whose pages may use the API; results, schemas and scripts may be read from any"`
	Log           string        `env:"LOG" help:"text or json (default: text on a terminal, else json)"`
}

const (
	envPrefix = "RUNNERBEAN_"

	webhookKeyName = "webhook.key" // in the data folder

	resultsOpen   = "open"
	resultsSigned = "signed"
)

// readSettings reads the environment and fills in what depends on other settings.
// Errors name every setting that cannot work.
func readSettings() (settings, error) {
	var s settings
	options := env.Options{Prefix: envPrefix, Environment: givenSettings(os.Environ()), FuncMap: settingParsers}
	if err := env.ParseWithOptions(&s, options); err != nil {
		return s, fmt.Errorf("settings: %w; see \"runnerbean help config\"", namedSettings(err))
	}
	if err := errors.Join(s.tidy(), s.fillNames(), s.readToken(), s.check()); err != nil {
		return s, fmt.Errorf("settings: %w; see \"runnerbean help config\"", err)
	}
	return s, nil
}

func (s *settings) fillNames() error {
	if s.Node == "" {
		name, err := os.Hostname()
		if err != nil {
			return fmt.Errorf("no host name (%w): set RUNNERBEAN_NODE", err)
		}
		s.Node = name
	}
	if s.Data == "" {
		folder, err := defaultData()
		if err != nil {
			return err
		}
		s.Data = folder
	}
	data, err := filepath.Abs(s.Data)
	if err != nil {
		return err
	}
	s.Data = data
	fill(&s.Programs, defaultPrograms(data))
	fill(&s.WebhookKey, filepath.Join(data, webhookKeyName))
	fill(&s.Ledger, "sqlite:"+filepath.Join(data, "ledger.db"))
	fill(&s.Store, (&url.URL{Scheme: "file", Path: filepath.Join(data, "store")}).String())
	if s.Slots == -1 {
		s.Slots = runtime.NumCPU()
	}
	return nil
}

func defaultData() (string, error) {
	// systemd lists several folders between colons.
	if folder, _, _ := strings.Cut(os.Getenv("STATE_DIRECTORY"), ":"); folder != "" {
		return folder, nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("no home folder (%w): set RUNNERBEAN_DATA", err)
	}
	return filepath.Join(home, ".local", "state", "runnerbean"), nil
}

func (s *settings) readToken() error {
	if s.TokenFile == "" {
		return nil
	}
	if s.Token != "" {
		return errors.New("set either RUNNERBEAN_TOKEN or RUNNERBEAN_TOKEN_FILE, not both")
	}
	text, err := os.ReadFile(s.TokenFile)
	if err != nil {
		return fmt.Errorf("RUNNERBEAN_TOKEN_FILE: %w", err)
	}
	s.Token = strings.TrimSpace(string(text))
	if s.Token == "" {
		return errors.New("RUNNERBEAN_TOKEN_FILE names an empty file")
	}
	return nil
}

// checkAccess refuses what would leave open what was meant to be shut.
func (s *settings) checkAccess() error {
	switch {
	case s.Results != resultsOpen && s.Results != resultsSigned:
		return errors.New("RUNNERBEAN_RESULTS must be open or signed")
	case s.Results == resultsSigned && s.URLKeyFile == "":
		return errors.New("RUNNERBEAN_RESULTS=signed needs RUNNERBEAN_URL_KEY_FILE, a file with a line as openssl rand -base64 32 prints")
	case (s.TLSCert == "") != (s.TLSKey == ""):
		return errors.New("set both RUNNERBEAN_TLS_CERT and RUNNERBEAN_TLS_KEY, or neither")
	case s.TLSCert != "" && strings.HasPrefix(s.BaseURL, "http://"):
		return errors.New("RUNNERBEAN_BASE_URL begins with http://, but the node speaks TLS: begin it with https://")
	}
	return nil
}

func fill(setting *string, value string) {
	if *setting == "" {
		*setting = value
	}
}

// logger writes to stderr: coloured text for people, JSON for machines.
func (s *settings) logger(stderr *os.File) *slog.Logger {
	terminal := isatty.IsTerminal(stderr.Fd())
	if s.Log == "json" || s.Log == "" && !terminal {
		return slog.New(slog.NewJSONHandler(stderr, nil))
	}
	return slog.New(tint.NewTextHandler(stderr, &tint.Options{TimeFormat: time.TimeOnly, NoColor: !terminal}))
}

// newHelpConfig is "runnerbean config"; cobra's help command finds it as
// "runnerbean help config" too, where it prints the same table.
func newHelpConfig(a *app) *cobra.Command {
	table := configTable()
	return &cobra.Command{
		Use:   "config",
		Short: "Print the settings (environment variables) with their defaults",
		Long:  "Settings are environment variables:\n\n" + table,
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprint(a.stdout, table)
			return err
		},
	}
}

func configTable() string {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for field := range fieldsOf[settings]() {
		meaning := field.Tag.Get("help")
		if value, ok := field.Tag.Lookup("envDefault"); ok {
			meaning += " (default: " + value + ")"
		}
		fmt.Fprintf(w, "%s%s\t%s\n", envPrefix, field.Tag.Get("env"), meaning)
	}
	fmt.Fprintf(w, "RUNNERBEAN_URL\t%s\n", "node that the command line talks to as a client (default: "+defaultURL+")")
	w.Flush()
	return text.String()
}

func fieldsOf[T any]() func(yield func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		t := reflect.TypeFor[T]()
		for i := range t.NumField() {
			if !yield(t.Field(i)) {
				return
			}
		}
	}
}
