package main

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"strings"

	"github.com/runnerbean/runnerbean/internal/outbound"
)

// outbound says whom this node asks for inputs, and tells of ends of jobs.
func (n *node) outbound() (outbound.Config, error) {
	allow, err := n.set.allowed()
	if err != nil {
		return outbound.Config{}, err
	}
	proxy, err := n.set.proxy()
	return outbound.Config{
		Allow: allow, Beanstalkd: n.set.Beanstalkd, Listener: n.listener.Addr().String(), Proxy: proxy,
	}, err
}

// allowed are the networks of RUNNERBEAN_FETCH_ALLOW; a bare address is a
// network of one.
func (s *settings) allowed() ([]netip.Prefix, error) {
	var networks []netip.Prefix
	for _, text := range s.FetchAllow {
		network, err := parseNetwork(strings.TrimSpace(text))
		if err != nil {
			return nil, fmt.Errorf("RUNNERBEAN_FETCH_ALLOW: %w (an address or a network such as 10.1.0.0/16 is wanted)", err)
		}
		networks = append(networks, network)
	}
	return networks, nil
}

// parseNetwork takes one of IPv4 that is written as ::ffff:10.0.0.0/104 for what it
// stands for.
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

// proxy is that of RUNNERBEAN_FETCH_PROXY, or nil. Errors do not repeat it, for it
// may hold a password.
func (s *settings) proxy() (*url.URL, error) {
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

// checkProxy says by which way inputs are fetched.
func checkProxy(set settings) finding {
	const check = "proxy"
	proxy, err := set.proxy()
	if err != nil {
		return finding{check, "error", err.Error(), ""}
	}
	if proxy != nil {
		return finding{check, "ok", "inputs, deliveries and webhooks go through " + proxy.Scheme + "://" + proxy.Host + ", but for the networks of RUNNERBEAN_FETCH_ALLOW", ""}
	}
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"} {
		if os.Getenv(name) != "" {
			return finding{check, "warning", name + " of the environment is not used for what jobs name: a proxy looks names up behind the node's back", "where the network has no other way out, set RUNNERBEAN_FETCH_PROXY to it; see docs/operations.md"}
		}
	}
	return finding{check, "ok", "none: addresses are asked directly", ""}
}
