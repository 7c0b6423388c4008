package outbound

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/url"
)

var defaultPorts = map[string]string{"http": "80", "https": "443", "socks5": "1080", "socks5h": "1080"}

func portOf(u *url.URL) string { return cmp.Or(u.Port(), defaultPorts[u.Scheme]) }

// proxyAddress is what the transport dials to reach a proxy.
func proxyAddress(u *url.URL) string { return net.JoinHostPort(u.Hostname(), portOf(u)) }

// CheckProxy says what is wrong with the URL of a proxy; the error does not repeat it.
func CheckProxy(u *url.URL) error {
	switch {
	case defaultPorts[u.Scheme] == "":
		return fmt.Errorf("%q is not http, https or socks5", u.Scheme)
	case u.Hostname() == "":
		return errors.New("it names no host")
	case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "":
		return errors.New("it has more than scheme, user, password, host and port")
	}
	return nil
}
