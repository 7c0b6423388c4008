package httpio

import (
	"net/http"
	"net/netip"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/internal/access"
)

// ForwardedAddress returns the address of the client. It believes the
// X-Forwarded-For field of a proxy on this machine or in a private network only.
var ForwardedAddress = echo.ExtractIPFromXFFHeader()

// ClientNetwork returns the network of the client.
func ClientNetwork(r *http.Request) netip.Prefix { return access.NetworkOf(ForwardedAddress(r)) }
