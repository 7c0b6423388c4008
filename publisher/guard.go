package publisher

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/jobs"
)

// guard lets a writing request through if the node takes any, if no page of
// another site has sent it, and if it bears the token where there is one.
func (p *Publisher) guard(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		if p.cfg.ReadOnly != "" {
			return problem(http.StatusForbidden, p.cfg.ReadOnly)
		}
		if err := p.foreign.Check(r); err != nil {
			return problem(http.StatusForbidden, "a page of another origin has sent this; RUNNERBEAN_CORS lists the origins that may")
		}
		if p.cfg.Token == "" {
			if !p.ownHost(r.Host) {
				return problem(http.StatusForbidden, "the Host field names none of this node's addresses; set RUNNERBEAN_BASE_URL to the address in use, or RUNNERBEAN_TOKEN")
			}
			return next(c)
		}
		if err := p.authorize(c); err != nil {
			return err
		}
		return next(c)
	}
}

// ownHost defends a node without a token against a name that another site has
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

// authorize checks the token. An address with too many wrong ones has to wait.
func (p *Publisher) authorize(c echo.Context) error {
	from := prefixOf(c.RealIP())
	if wait := p.failures.wait(from, time.Now()); wait > 0 {
		c.Response().Header().Set("Retry-After", "1")
		return problem(http.StatusTooManyRequests, "too many wrong tokens from this address")
	}
	scheme, token, _ := strings.Cut(c.Request().Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") && sameToken(strings.TrimSpace(token), p.cfg.Token) {
		return nil
	}
	if scheme != "" {
		p.failures.count(from, time.Now())
	}
	c.Response().Header().Set("WWW-Authenticate", `Bearer realm="runnerbean"`)
	return &jobs.Problem{
		Status: http.StatusUnauthorized, Title: "Unauthorized",
		Detail: "writing needs the header Authorization: Bearer TOKEN, the token being the node's RUNNERBEAN_TOKEN",
	}
}

// sameToken takes the same time wherever the two differ.
func sameToken(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

const (
	// failureBurst wrong tokens are free; after that one a second.
	failureBurst = 20
	// failureAddresses bounds how many addresses are remembered.
	failureAddresses = 4096
)

// failures counts wrong tokens by address. A count leaks away by one a second.
type failures struct {
	mu   sync.Mutex
	seen map[netip.Prefix]time.Time // when the count will be zero
}

// wait is how long an address has to keep still.
func (f *failures) wait(from netip.Prefix, now time.Time) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.seen[from].Sub(now.Add(failureBurst * time.Second))
}

func (f *failures) count(from netip.Prefix, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	empty := f.seen[from]
	if empty.Before(now) {
		empty = now
	}
	if len(f.seen) >= failureAddresses {
		f.forget(now)
	}
	f.seen[from] = empty.Add(time.Second)
}

// forget makes room for many, by force where nothing else helps.
func (f *failures) forget(now time.Time) {
	for from, empty := range f.seen {
		if empty.Before(now) {
			delete(f.seen, from)
		}
	}
	for from := range f.seen {
		if len(f.seen) <= failureAddresses/2 {
			return
		}
		delete(f.seen, from)
	}
}

// prefixOf is the network that one client may be thought to have.
func prefixOf(ip string) netip.Prefix {
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return netip.Prefix{}
	}
	bits := 64
	if addr = addr.Unmap(); addr.Is4() {
		bits = 32
	}
	prefix, err := addr.WithZone("").Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return prefix
}
