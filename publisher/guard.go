package publisher

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/internal/access"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/outbound"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// openAccess reads the files that say who may do what.
func (p *Publisher) openAccess() error {
	var err error
	if p.tokens, err = access.OpenTokens(p.cfg.TokensFile, p.cfg.Token, p.log); err != nil {
		return err
	}
	p.forever = httpio.Immutable
	if p.cfg.URLKeyFile != "" {
		// What was read with a signature is asked for again each time: it expires.
		p.forever = "private, no-cache"
		if p.keys, err = access.OpenKeys(p.cfg.URLKeyFile, p.log); err != nil {
			return err
		}
	}
	if p.cfg.TLSCert != "" {
		p.tls, err = access.ServerTLS(p.cfg.TLSCert, p.cfg.TLSKey, p.log)
	}
	return err
}

// trust says which origins may send what changes something. The node's own is
// named too, for a proxy may put another Host field in the place of the browser's.
func (p *Publisher) trust() error {
	base, err := url.Parse(p.cfg.BaseURL)
	if err != nil {
		return err
	}
	origin := base.Scheme + "://" + base.Host
	if err := errors.Join(p.ownPages.AddTrustedOrigin(origin), p.foreign.AddTrustedOrigin(origin)); err != nil {
		return fmt.Errorf("Config.BaseURL: %w", err)
	}
	for _, origin := range p.cfg.CORS {
		if err := p.foreign.AddTrustedOrigin(origin); err != nil {
			return err
		}
	}
	return nil
}

// guard lets a request through to a route if whoever sends it may use that.
func (p *Publisher) guard(needs level, next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if err := p.foreign.Check(c.Request()); err != nil {
			return httpio.Problem(http.StatusForbidden, "a page of another origin has sent this; RUNNERBEAN_CORS lists the origins that may")
		}
		if err := p.admit(c, needs); err != nil {
			return p.orLogin(c, err)
		}
		return next(c)
	}
}

// admit is the one place that decides who may use a route.
func (p *Publisher) admit(c echo.Context, needs level) error {
	switch needs {
	case anyone:
		allowAny(c.Response().Header(), c.Request())
		return nil
	case holder:
		return p.admitHolder(c)
	case viewer, ownReader:
		return p.admitPerson(c, needs)
	case operator, ownActor:
		if p.cfg.ReadOnly != "" {
			return httpio.Problem(http.StatusForbidden, p.cfg.ReadOnly)
		}
		return p.admitPerson(c, needs)
	}
	return httpio.Problem(http.StatusForbidden, "nobody may use this path")
}

// admitPerson asks for a token or a session of at least that level, where
// tokens are asked for at all.
func (p *Publisher) admitPerson(c echo.Context, needs level) error {
	if c.Request().Header.Get(outbound.Header) != "" {
		return httpio.Problem(http.StatusForbidden, "a job's URL leads to this node, which gives jobs nothing but results")
	}
	h := c.Response().Header()
	p.cors.allowListed(h, c.Request())
	h.Set("Cache-Control", "private, no-cache") // unless the handler says otherwise
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	someone, err := p.identify(c)
	if err != nil {
		return err
	}
	if someone.may == submit && (needs == ownReader || needs == ownActor) {
		err = p.admitSubmitter(c, someone)
	} else if someone.may < needs.role() {
		h.Set("WWW-Authenticate", challenge+`, error="insufficient_scope"`)
		err = httpio.Problem(http.StatusForbidden, "this needs the role "+needs.role().String()+"; the token "+someone.name+" has the role "+someone.may.String())
	}
	if err == nil {
		c.Set(personKey, someone)
	}
	return err
}

// admitSubmitter lets a token with the role submit use a route about a job that
// it has submitted. Other jobs are unknown to it.
func (p *Publisher) admitSubmitter(c echo.Context, someone person) error {
	id := c.Param("id")
	if id == "" {
		return nil
	}
	submitter, err := p.cfg.Ledger.Submitter(c.Request().Context(), id)
	if err == nil && submitter != someone.name {
		err = ledger.ErrUnknown
	}
	return err
}

// role is the role that a level asks for.
func (l level) role() level {
	switch l {
	case ownReader:
		return viewer
	case ownActor:
		return operator
	}
	return l
}

func (l level) String() string {
	switch l {
	case submit:
		return string(access.Submit)
	case viewer:
		return string(access.Viewer)
	}
	return string(access.Operator)
}

// person is who sends a request.
type person struct {
	name   string // of the token; empty where none is asked for
	may    level  // submit, viewer or operator
	secret string // the token's hash; never shown
}

const personKey = "person"

// who names who sends a request, for events. It is the token's name or, where
// none is asked for, the address.
func (p *Publisher) who(c echo.Context) string {
	if name := p.person(c).name; name != "" {
		return name
	}
	return "API request from " + c.RealIP()
}

// person is who sends a request that guard has let through.
func (p *Publisher) person(c echo.Context) person {
	someone, _ := c.Get(personKey).(person)
	return someone
}

// canAct reports whether a page should offer what changes something.
func (p *Publisher) canAct(c echo.Context) bool {
	return p.person(c).may == operator && p.cfg.ReadOnly == ""
}

// identify finds out who sends a request: by its Authorization field, else by
// its cookie. Where no tokens are asked for everybody is an operator.
func (p *Publisher) identify(c echo.Context) (person, error) {
	r := c.Request()
	if !p.tokens.Wanted() {
		if !p.ownHost(r.Host) {
			return person{}, httpio.Problem(http.StatusForbidden, "the Host field names none of this node's addresses; set RUNNERBEAN_BASE_URL to the address in use, or RUNNERBEAN_TOKENS_FILE")
		}
		return person{may: operator}, nil
	}
	if secret, ok := bearer(r); ok {
		token, err := p.tokenOf(c, secret)
		return personOf(token), err
	}
	session, ok, err := p.sessionOf(r)
	if err != nil {
		return person{}, err
	}
	if ok {
		return personOf(session.Token), nil
	}
	return person{}, unauthorized(c, challenge, "this needs the header Authorization: Bearer TOKEN with a token of this node")
}

// sessionOf is who has signed in with this browser. To change something only the
// node's own pages may use that: another origin, trusted or not, needs a token.
func (p *Publisher) sessionOf(r *http.Request) (session access.SessionEntry, ok bool, err error) {
	cookie, err := r.Cookie(p.cookieName())
	if err != nil || p.ownPages.Check(r) != nil {
		return session, false, nil
	}
	if session, ok = p.tokens.Session(cookie.Value, time.Now()); !ok {
		return session, false, nil
	}
	ended, err := p.cfg.Ledger.SessionEnded(r.Context(), session.ID)
	return session, err == nil && !ended, err
}

// bearer is the token in a request's Authorization field. Another scheme may be
// that of a proxy before the node.
func bearer(r *http.Request) (secret string, ok bool) {
	scheme, secret, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.TrimSpace(secret), strings.EqualFold(scheme, "Bearer")
}

// tokenOf looks a token up. An address with too many wrong ones has to wait
// with those that might be guessed.
func (p *Publisher) tokenOf(c echo.Context, secret string) (access.Token, error) {
	from, now := c.RealIP(), time.Now()
	if access.Guessable(secret) && p.failures.TooMany(from, now) {
		return access.Token{}, tooManyFailures(c)
	}
	token, ok := p.tokens.Find(secret, now)
	if ok {
		return token, nil
	}
	p.failures.Count(from, now)
	p.noteRefused(c, token)
	if p.failures.TooMany(from, now) {
		return access.Token{}, tooManyFailures(c)
	}
	return access.Token{}, unauthorized(c, challenge+`, error="invalid_token"`, "the token is not one of this node, or has expired")
}

func personOf(t access.Token) person {
	someone := person{name: t.Name, may: viewer, secret: string(t.Hash[:])}
	switch t.Role {
	case access.Operator:
		someone.may = operator
	case access.Submit:
		someone.may = submit
	}
	return someone
}

const challenge = `Bearer realm="runnerbean"`

func unauthorized(c echo.Context, field, detail string) error {
	c.Response().Header().Set("WWW-Authenticate", field)
	return httpio.Problem(http.StatusUnauthorized, detail)
}

func tooManyFailures(c echo.Context) *jobs.Problem {
	c.Response().Header().Set("Retry-After", "2")
	return httpio.Problem(http.StatusTooManyRequests, "too many wrong tokens or signatures from this address; wait a few seconds")
}

// ownHost defends a node without tokens against a name that another site has
// pointed at it: an address literal or localhost cannot be such a name.
func (p *Publisher) ownHost(hostport string) bool {
	base, err := url.Parse(p.cfg.BaseURL)
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
