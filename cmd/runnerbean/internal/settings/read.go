package settings

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/caarlos0/env/v10"

	"github.com/runnerbean/runnerbean/internal/keepspan"
	"github.com/runnerbean/runnerbean/internal/timespan"
	"github.com/runnerbean/runnerbean/jobs"
)

// parsers read time spans with units that Go does not know, such as 2d.
var parsers = map[reflect.Type]env.ParserFunc{
	reflect.TypeFor[time.Duration](): func(text string) (any, error) { return timespan.Parse(text) },
	reflect.TypeFor[jobs.Keep]():     func(text string) (any, error) { return keepspan.Parse(text) },
}

// Read reads the environment and fills in the defaults. Its error names every setting
// that cannot work.
func Read() (Settings, error) {
	var s Settings
	options := env.Options{Prefix: EnvPrefix, Environment: GivenSettings(os.Environ()), FuncMap: parsers}
	if err := env.ParseWithOptions(&s, options); err != nil {
		return s, &Error{fmt.Errorf("settings: %w; see \"runnerbean help config\"", namedSettings(err))}
	}
	if err := errors.Join(s.normalize(), s.FillDefaults(), s.readToken(), s.check()); err != nil {
		return s, &Error{fmt.Errorf("settings: %w; see \"runnerbean help config\"", err)}
	}
	return s, nil
}

// ReadClient returns the base URL of the node that the command line talks to, and the
// token for it, which may be "".
func ReadClient() (base, token string, err error) {
	text := strings.TrimSpace(os.Getenv(EnvPrefix + "URL"))
	Fill(&text, defaultURL)
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	if base, err = baseURL(text); err != nil {
		return "", "", &Error{fmt.Errorf("RUNNERBEAN_URL: %w", err)}
	}
	s := Settings{Token: strings.TrimSpace(os.Getenv(EnvPrefix + "TOKEN"))}
	if s.TokenFile, err = ReadPath("TOKEN_FILE"); err != nil {
		return "", "", err
	}
	if err := s.readToken(); err != nil {
		return "", "", &Error{err}
	}
	return base, s.Token, nil
}

func (s *Settings) FillDefaults() error {
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
	Fill(&s.Programs, defaultPrograms(data))
	Fill(&s.WebhookKey, filepath.Join(data, webhookKeyName))
	Fill(&s.Ledger, ledgerScheme+filepath.Join(data, "ledger.db"))
	Fill(&s.Store, (&url.URL{Scheme: "file", Path: filepath.Join(data, "store")}).String())
	if s.Slots == -1 {
		s.Slots = runtime.NumCPU()
	}
	return nil
}

func defaultData() (string, error) {
	// systemd separates several folders by colons.
	if folder, _, _ := strings.Cut(os.Getenv("STATE_DIRECTORY"), ":"); folder != "" {
		return folder, nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("no home folder (%w): set RUNNERBEAN_DATA", err)
	}
	return filepath.Join(home, ".local", "state", "runnerbean"), nil
}

func (s *Settings) readToken() error {
	if s.TokenFile == "" {
		return nil
	}
	if s.Token != "" {
		return errors.New("set either RUNNERBEAN_TOKEN or RUNNERBEAN_TOKEN_FILE, not both")
	}
	var err error
	s.Token, err = ReadTokenFile(s.TokenFile)
	return err
}

// ReadTokenFile returns the token in the file of RUNNERBEAN_TOKEN_FILE.
func ReadTokenFile(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("RUNNERBEAN_TOKEN_FILE: %w", err)
	}
	token := strings.TrimSpace(string(text))
	if token == "" {
		return "", errors.New("RUNNERBEAN_TOKEN_FILE names an empty file")
	}
	return token, nil
}

func Fill(setting *string, value string) {
	if *setting == "" {
		*setting = value
	}
}

// namedSettings replaces the names of fields, which the library puts into its errors,
// by the names of variables.
func namedSettings(err error) error {
	var all env.AggregateError
	if !errors.As(err, &all) {
		return err
	}
	var named []error
	for _, err := range all.Errors {
		var one env.ParseError
		if !errors.As(err, &one) {
			named = append(named, err)
			continue
		}
		field, _ := reflect.TypeFor[Settings]().FieldByName(one.Name)
		named = append(named, fmt.Errorf("%s%s: %w", EnvPrefix, field.Tag.Get("env"), readable(one.Err)))
	}
	return errors.Join(named...)
}

// readable rewrites an error about a number for people.
func readable(err error) error {
	var number *strconv.NumError
	if errors.As(err, &number) {
		return fmt.Errorf("%.70q is not an allowed number", number.Num)
	}
	return err
}

// ReadPath returns a single setting that names a file, for commands that need no other
// setting. It returns "" where it is not set.
func ReadPath(name string) (string, error) {
	path, err := absolute(strings.TrimSpace(os.Getenv(EnvPrefix + name)))
	if err != nil {
		return "", &Error{fmt.Errorf("%s%s: %w", EnvPrefix, name, err)}
	}
	return path, nil
}
