package auth

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"github.com/runnerbean/runnerbean/internal/access"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

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
		if a.certificate, err = access.OpenCertificate(a.cfg.TLSCert, a.cfg.TLSKey, a.cfg.Logger); err != nil {
			return err
		}
		a.tls = a.certificate.ServerTLS()
	}
	return nil
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
