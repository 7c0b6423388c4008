package outbound

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// proxyFault is an answer by which the proxy does not let a request through.
type proxyFault struct{ status int }

func (p *proxyFault) Error() string {
	text := fmt.Sprintf("the node's proxy answered %d %s", p.status, http.StatusText(p.status))
	if p.status == http.StatusProxyAuthRequired {
		text += "; RUNNERBEAN_FETCH_PROXY must hold its user name and password"
	}
	return text
}

func checkConnect(_ context.Context, _ *url.URL, _ *http.Request, answer *http.Response) error {
	if answer.StatusCode == http.StatusOK {
		return nil
	}
	return &proxyFault{answer.StatusCode}
}

// route says by which proxy a request goes; nil is directly. The proxy looks names
// up itself, so what is known here of an address is decided here. A host of an
// allowed network is asked directly: a proxy leads out of the own network.
func (g *guard) route(req *http.Request) (*url.URL, error) {
	if g.proxy == nil {
		return nil, nil
	}
	host := strings.ToLower(strings.TrimSuffix(req.URL.Hostname(), "."))
	port, err := strconv.ParseUint(portOf(req.URL), 10, 16)
	if err != nil {
		return nil, &refusal{host: host, why: "has a port that is none"}
	}
	addrs, why := g.addresses(req.Context(), host, uint16(port))
	if why != "" {
		return nil, &refusal{host: host, why: why}
	}
	way := g.proxy
	for _, addr := range addrs {
		err := g.check(req.Context(), netip.AddrPortFrom(addr, uint16(port)))
		if r, ok := errors.AsType[*refusal](err); ok {
			return nil, &refusal{host: host, why: r.why}
		}
		if err != nil {
			return nil, err
		}
		if !reachable(addr, nil) {
			way = nil
		}
	}
	return way, nil
}

// answersItself reports whether an answer to req may be the proxy's own: over TLS and
// SOCKS a proxy says only whether it makes a connection.
func (g *guard) answersItself(req *http.Request) bool {
	way, err := g.route(req)
	return err == nil && way != nil && req.URL.Scheme == "http" && (way.Scheme == "http" || way.Scheme == "https")
}

// addresses are those of a host that are known here: none of a name that only the
// proxy knows. why says that it is refused as it is written.
func (g *guard) addresses(ctx context.Context, host string, port uint16) (list []netip.Addr, why string) {
	for _, server := range g.reserved {
		if server.port == port && strings.EqualFold(server.host, host) {
			return nil, server.why
		}
	}
	if port == beanstalkdPort {
		return nil, portRefused
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{addr}, ""
	}
	switch last := host[strings.LastIndexByte(host, '.')+1:]; {
	case !ascii(host):
		return nil, "is not in ASCII; write it as xn--…"
	case last != "" && strings.Trim(last, "0123456789") == "", strings.HasPrefix(last, "0x"):
		return nil, "ends in a number; write an IPv4 address as four decimal ones"
	case last == "localhost":
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}, ""
	}
	list, _ = lookup(ctx, host)
	return list, ""
}

func ascii(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > 127 })
}
