package outbound

import (
	"context"
	"net"
	"net/netip"
	"net/url"
	"syscall"
	"time"
)

// guard decides whom this process asks. It does so on the address that a name has
// resolved to, in the moment of dialling, so that DNS cannot lie about it.
type guard struct {
	allow    []netip.Prefix
	reserved []reserved
	proxy    *url.URL // nil: none
	dialer   net.Dialer
	direct   net.Dialer // to the proxy
}

func newGuard(cfg Config) *guard {
	g := &guard{allow: cfg.Allow, reserved: reservedOf(cfg), proxy: cfg.Proxy, direct: net.Dialer{Timeout: 10 * time.Second}}
	g.dialer = net.Dialer{Timeout: 10 * time.Second, ControlContext: g.control}
	return g
}

// control is asked for each address before it is dialled.
func (g *guard) control(ctx context.Context, _, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return &refusal{why: "has an address that cannot be read"}
	}
	return g.check(ctx, to)
}

// check is the decision.
func (g *guard) check(ctx context.Context, to netip.AddrPort) error {
	if err := checkReserved(ctx, g.reserved, to); err != nil {
		return err
	}
	if !reachable(to.Addr(), g.allow) {
		return &refusal{why: notPublic}
	}
	return nil
}

// dial connects to an address as a URL names it.
func (g *guard) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if g.proxy != nil && address == proxyAddress(g.proxy) {
		return g.direct.DialContext(ctx, network, address)
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	// The dialer would take an IPv4 address that is wrapped in one of IPv6 for a bare one.
	if literal, bad := netip.ParseAddr(host); bad == nil && literal.Is4In6() && !reachable(literal, nil) {
		return nil, &refusal{host: host, why: notPublic}
	}
	conn, err := g.dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, dialFault(err, host, address)
	}
	return conn, nil
}
