// Package auth decides who may use which route: by tokens, sessions of browsers,
// signed URLs and the origin of a page.
package auth

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/internal/access"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// Ledger is what Auth reads and writes in the ledger.
type Ledger interface {
	// Submitter returns the name of the token that submitted a job.
	Submitter(ctx context.Context, id string) (string, error)
	SessionEnded(ctx context.Context, session string) (bool, error)
	EndSession(ctx context.Context, session string, expires time.Time) error
}

// Events is the log of events.
type Events interface {
	Note(ctx context.Context, e eventlog.Event) error
}

// Config of an Auth. publisher.Config describes the fields of the same names.
type Config struct {
	Ledger            Ledger
	Events            Events
	BaseURL, Node     string
	TokensFile, Token string
	ReadOnly          string
	URLKeyFile        string
	TLSCert, TLSKey   string
	CORS              []string
	Logger            *slog.Logger
}

// Auth decides who may use which route.
type Auth struct {
	cfg      Config
	basePath string
	tokens   *access.Tokens
	keys     *access.Keys // of signed URLs; nil where results are open
	tls      *tls.Config  // nil without
	failures access.Failures
	events   failureEvents

	foreign  *http.CrossOriginProtection // trusts the origins of Config.CORS
	ownPages *http.CrossOriginProtection // trusts no other origin

	vary     []string // of a result URL, where the Accept field alone decides between page and JSON
	varyOpen []string // and where the browser's name decides too
}

// New opens the files that the configuration names.
func New(cfg Config) (*Auth, error) {
	a := &Auth{cfg: cfg, foreign: http.NewCrossOriginProtection(), ownPages: http.NewCrossOriginProtection()}
	a.cfg.CORS = slices.Clone(cfg.CORS)
	a.basePath = httpio.BasePath(httpio.PageBase(cfg.BaseURL))
	if err := a.openFiles(); err != nil {
		return nil, err
	}
	if err := checkOrigins(cfg.CORS); err != nil {
		return nil, err
	}
	if err := a.trustOrigins(); err != nil {
		return nil, err
	}
	a.setVary()
	return a, nil
}

func (a *Auth) openFiles() (err error) {
	if a.tokens, err = access.OpenTokens(a.cfg.TokensFile, a.cfg.Token, a.cfg.Logger); err != nil {
		return err
	}
	if a.cfg.URLKeyFile != "" {
		if a.keys, err = access.OpenKeys(a.cfg.URLKeyFile, a.cfg.Logger); err != nil {
			return err
		}
	}
	if a.cfg.TLSCert != "" {
		a.tls, err = access.ServerTLS(a.cfg.TLSCert, a.cfg.TLSKey, a.cfg.Logger)
	}
	return err
}

// trustOrigins trusts the node's own origin by name too: a proxy may replace the
// Host field of the browser.
func (a *Auth) trustOrigins() error {
	base, err := url.Parse(a.cfg.BaseURL)
	if err != nil {
		return err
	}
	origin := base.Scheme + "://" + base.Host
	if err := errors.Join(a.ownPages.AddTrustedOrigin(origin), a.foreign.AddTrustedOrigin(origin)); err != nil {
		return fmt.Errorf("Config.BaseURL: %w", err)
	}
	for _, origin := range a.cfg.CORS {
		if err := a.foreign.AddTrustedOrigin(origin); err != nil {
			return err
		}
	}
	return nil
}

// TLS returns the server's TLS configuration, or nil where it speaks plain HTTP.
func (a *Auth) TLS() *tls.Config { return a.tls }

// TokensNeeded reports whether anybody needs a token at all.
func (a *Auth) TokensNeeded() bool { return a.tokens.Wanted() }

// ownHost protects a node without tokens from DNS rebinding: a name of another
// site cannot be an IP address, localhost or the host of BaseURL.
func (a *Auth) ownHost(hostport string) bool {
	base, err := url.Parse(a.cfg.BaseURL)
	if err == nil && strings.EqualFold(base.Host, hostport) {
		return true
	}
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	_, err = netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil || strings.EqualFold(host, "localhost")
}
