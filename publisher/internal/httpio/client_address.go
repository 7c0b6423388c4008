package httpio

import (
	"net"
	"net/http"
	"net/netip"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/internal/access"
)

// Proxies are those whose X-Forwarded-For field is believed. A nil one believes proxies on
// this machine and in private networks.
type Proxies struct{ address echo.IPExtractor }

// anyPrivate believes proxies on this machine and in private networks.
var anyPrivate = echo.ExtractIPFromXFFHeader()

// NewProxies returns the proxies in some networks; those of a nil Proxies if there are none.
func NewProxies(networks []netip.Prefix) *Proxies {
	if len(networks) == 0 {
		return nil
	}
	options := []echo.TrustOption{echo.TrustLoopback(false), echo.TrustLinkLocal(false), echo.TrustPrivateNet(false)}
	for _, n := range networks {
		bits := n.Addr().BitLen()
		options = append(options, echo.TrustIPRange(&net.IPNet{IP: n.Masked().Addr().AsSlice(), Mask: net.CIDRMask(n.Bits(), bits)}))
	}
	return &Proxies{echo.ExtractIPFromXFFHeader(options...)}
}

// Address returns the address of the client of a request.
func (p *Proxies) Address(r *http.Request) string {
	if p == nil {
		return anyPrivate(r)
	}
	return p.address(r)
}

// Network returns the network of the client of a request.
func (p *Proxies) Network(r *http.Request) netip.Prefix { return access.NetworkOf(p.Address(r)) }
