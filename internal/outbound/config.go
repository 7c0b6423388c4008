package outbound

import (
	"net/netip"
	"net/url"
)

// Config says who may be asked. With the zero value that are public addresses,
// but for port 11300.
type Config struct {
	// Allow are networks beyond the public ones.
	Allow []netip.Prefix
	// Beanstalkd, Database and Listener, each host:port, are never asked, whatever Allow
	// says: the beanstalkd servers, those of the ledger, and where this process itself
	// listens. An empty Listener is none.
	Beanstalkd []string
	Database   []string
	Listener   string
	// Proxy asks in place of this process, but for what is in Allow. Its user name
	// and password are shown to it. Default none.
	Proxy *url.URL
}
