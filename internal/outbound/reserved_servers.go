package outbound

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"
)

// beanstalkdPort is never asked, whatever listens there: a request of HTTP can be
// written so that beanstalkd, which wants no password, takes it for commands.
const beanstalkdPort = 11300

// lookupTimeout bounds how long a name is looked up that a decision depends on.
const lookupTimeout = 5 * time.Second

// reserved is a server that is never asked.
type reserved struct {
	host string
	port uint16
	why  string
}

// reservedOf reads the servers of a configuration. What is no host:port is no
// server that HTTP could reach.
func reservedOf(cfg Config) []reserved {
	var all []reserved
	add := func(address, why string) {
		host, port, err := net.SplitHostPort(address)
		n, bad := strconv.ParseUint(port, 10, 16)
		if err == nil && bad == nil {
			all = append(all, reserved{host, uint16(n), why})
		}
	}
	for _, address := range cfg.Beanstalkd {
		add(address, isBeanstalkd)
	}
	for _, address := range cfg.Database {
		add(address, isDatabase)
	}
	add(cfg.Listener, isThisNode)
	return all
}

// checkReserved refuses a server that is never asked. Its name is looked up each
// time, because the server may have moved.
func checkReserved(ctx context.Context, list []reserved, to netip.AddrPort) error {
	if to.Port() == beanstalkdPort {
		return &refusal{why: portRefused}
	}
	inner, _ := wrapped(to.Addr())
	forms := append(inner, to.Addr().Unmap())
	for _, server := range list {
		if server.port != to.Port() {
			continue
		}
		addrs, err := lookup(ctx, server.host)
		if err != nil {
			return fmt.Errorf("whether it is a server that is never asked cannot be told now: %w", err)
		}
		if slices.ContainsFunc(forms, func(a netip.Addr) bool { return reaches(a, addrs) }) {
			return &refusal{why: server.why}
		}
	}
	return nil
}

// reaches reports whether a server at addrs may be what answers at an address.
func reaches(a netip.Addr, addrs []netip.Addr) bool {
	if slices.Contains(addrs, a) {
		return true
	}
	return local(a) && slices.ContainsFunc(addrs, local)
}

// local reports whether an address is one of this machine's.
func local(a netip.Addr) bool {
	if a.IsLoopback() || a.IsUnspecified() {
		return true
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		return true // nothing says that it is not
	}
	return slices.ContainsFunc(own, func(n net.Addr) bool {
		p, err := netip.ParsePrefix(n.String())
		return err == nil && p.Addr().Unmap() == a.WithZone("")
	})
}

// lookup returns the addresses of a host, which may be one itself; no host is all
// addresses of this machine.
func lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	if host == "" {
		return []netip.Addr{netip.IPv6Unspecified()}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	for i, a := range addrs {
		addrs[i] = a.Unmap()
	}
	return addrs, err
}
