package settings

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"github.com/runnerbean/runnerbean/internal/outbound"
)

// FetchNetworks returns the networks of RUNNERBEAN_FETCH_ALLOW. A single address is a
// network of one address.
func (s *Settings) FetchNetworks() ([]netip.Prefix, error) {
	return parseNetworks("FETCH_ALLOW", s.FetchAllow)
}

// ProxyNetworks returns the networks of RUNNERBEAN_PROXIES.
func (s *Settings) ProxyNetworks() ([]netip.Prefix, error) {
	return parseNetworks("PROXIES", s.Proxies)
}

func parseNetworks(name string, list []string) ([]netip.Prefix, error) {
	var networks []netip.Prefix
	for _, text := range list {
		network, err := parseNetwork(strings.TrimSpace(text))
		if err != nil {
			return nil, fmt.Errorf("%s%s: %w (an address or a network such as 10.1.0.0/16 is wanted)", EnvPrefix, name, err)
		}
		networks = append(networks, network)
	}
	return networks, nil
}

// parseNetwork reads an address or a network. It returns an IPv4 network for one that
// is written in IPv6, such as ::ffff:10.0.0.0/104.
func parseNetwork(text string) (netip.Prefix, error) {
	network, err := netip.ParsePrefix(text)
	if addr, bad := netip.ParseAddr(text); bad == nil {
		network, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		if addr.Zone() != "" {
			err = fmt.Errorf("%q has a zone", text)
		}
	}
	if err == nil && network.Addr().Is4In6() && network.Bits() >= 96 {
		network = netip.PrefixFrom(network.Addr().Unmap(), network.Bits()-96)
	}
	return network, err
}

// FetchProxyURL returns RUNNERBEAN_FETCH_PROXY, or nil where it is not set. Its errors
// do not quote the URL, which may hold a password.
func (s *Settings) FetchProxyURL() (*url.URL, error) {
	if s.FetchProxy == "" {
		return nil, nil
	}
	const wanted = "a URL such as http://proxy.example:3128 is wanted"
	u, err := url.Parse(s.FetchProxy)
	if err != nil {
		return nil, errors.New("RUNNERBEAN_FETCH_PROXY is not a URL: " + wanted)
	}
	if err := outbound.CheckProxy(u); err != nil {
		return nil, fmt.Errorf("RUNNERBEAN_FETCH_PROXY: %w: %s", err, wanted)
	}
	return u, nil
}
