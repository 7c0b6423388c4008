// Package auth decides who may use which route: by tokens, sessions of browsers,
// signed URLs and the origin of a page.
package auth

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net/http"
	"time"

	"github.com/runnerbean/runnerbean/internal/access"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// Ledger is what Auth reads and writes in the ledger.
type Ledger interface {
	// Submitter returns the name of the token that submitted a job.
	Submitter(ctx context.Context, id string) (string, error)
}

// Sessions are the logins that have ended before their time.
type Sessions interface {
	Ended(ctx context.Context, session string) (bool, error)
	End(ctx context.Context, session string, expires time.Time) error
}

// Events is the log of events.
type Events interface {
	Note(ctx context.Context, e eventlog.Event) error
}

// Config of an Auth. publisher.Config describes the fields of the same names.
type Config struct {
	Ledger            Ledger
	Events            Events
	Sessions          Sessions
	BaseURL, Node     string
	TokensFile, Token string
	ReadOnly          string
	URLKeyFile        string
	TLSCert, TLSKey   string
	CORS              []string
	Proxies           *httpio.Proxies
	Logger            *slog.Logger
}

// Auth decides who may use which route.
type Auth struct {
	cfg         Config
	basePath    string
	tokens      *access.Tokens
	keys        *access.Keys        // of signed URLs; nil where results are open
	certificate *access.Certificate // nil without TLS
	tls         *tls.Config         // nil without TLS
	failures    access.Failures
	events      failureEvents

	foreign  *http.CrossOriginProtection // trusts the origins of Config.CORS
	ownPages *http.CrossOriginProtection // trusts no other origin

	vary     []string // of a result URL, where the Accept field alone decides between page and JSON
	varyOpen []string // and where the browser's name decides too
}

// TLS returns the server's TLS configuration, or nil where it speaks plain HTTP.
func (a *Auth) TLS() *tls.Config { return a.tls }

// Reload reads tokens, keys and certificate again, and logs each. A file with a fault
// changes nothing.
func (a *Auth) Reload() {
	a.tokens.Reload()
	if a.keys != nil {
		a.keys.Reload()
	}
	if a.certificate != nil {
		a.certificate.Reload()
	}
}

// SetToken replaces the operator's token of Config.Token. The error is that it is too
// short.
func (a *Auth) SetToken(secret string) error { return a.tokens.SetSingle(secret) }

// TokensNeeded reports whether anybody needs a token at all.
func (a *Auth) TokensNeeded() bool { return a.tokens.Wanted() }
