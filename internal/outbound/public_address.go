package outbound

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"code.dny.dev/ssrf"
)

// registries know which addresses are public: IANA's lists of those for special purposes.
var registries = ssrf.New(ssrf.WithAnyPort())

func public(addr netip.Addr) bool { return registries.SafeAddr(addr) == nil }

var (
	translated = netip.MustParsePrefix("::ffff:0:0:0/96") // RFC 2765
	compatible = netip.MustParsePrefix("::/96")           // RFC 4291, deprecated
	nat64      = netip.MustParsePrefix("64:ff9b::/96")    // RFC 6052
	nat64Local = netip.MustParsePrefix("64:ff9b:1::/48")  // RFC 8215
	sixToFour  = netip.MustParsePrefix("2002::/16")       // RFC 3056
	teredo     = netip.MustParsePrefix("2001::/32")       // RFC 4380
	zeroNet    = netip.MustParsePrefix("0.0.0.0/8")
)

// reachable reports whether an address may be asked: it is public, or in a network
// of allow. An IPv4 address that is wrapped in addr must be public whatever allow
// says: a gateway would send what is meant for addr to it.
func reachable(addr netip.Addr, allow []netip.Prefix) bool {
	if addr.Zone() != "" {
		return false
	}
	inner, gateway := wrapped(addr)
	for _, v4 := range inner {
		if !public(v4) {
			return false
		}
	}
	if gateway {
		return len(inner) > 0
	}
	return public(addr) || slices.ContainsFunc(allow, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// wrapped returns the IPv4 addresses that an IPv6 address may stand for. gateway
// reports whether it is one of those that are made to reach the public ones.
func wrapped(addr netip.Addr) (inner []netip.Addr, gateway bool) {
	if !addr.Is6() || addr == netip.IPv6Unspecified() || addr == netip.IPv6Loopback() {
		return nil, false
	}
	b := addr.As16()
	at := func(i int) netip.Addr { return netip.AddrFrom4([4]byte(b[i : i+4])) }
	switch {
	case addr.Is4In6(), nat64.Contains(addr):
		return []netip.Addr{at(12)}, true
	case nat64Local.Contains(addr):
		return localNAT64(b), true
	case compatible.Contains(addr), translated.Contains(addr):
		return []netip.Addr{at(12)}, false
	case sixToFour.Contains(addr):
		inner = []netip.Addr{at(2)}
	case teredo.Contains(addr):
		inner = []netip.Addr{at(4), netip.AddrFrom4([4]byte{^b[12], ^b[13], ^b[14], ^b[15]})}
	}
	if binary.BigEndian.Uint32(b[8:])&^0x02000000 == 0x5efe { // ISATAP, RFC 5214
		inner = append(inner, at(12))
	}
	return inner, false
}

// localNAT64 reads an address of the local-use prefix in all ways of RFC 6052: the
// length of the gateway's prefix is not known. What then is in 0.0.0.0/8 is the
// rest of a prefix or zeros behind the address.
func localNAT64(b [16]byte) []netip.Addr {
	all := []netip.Addr{
		netip.AddrFrom4([4]byte(b[12:])),                   // of /96
		netip.AddrFrom4([4]byte(b[9:])),                    // of /64
		netip.AddrFrom4([4]byte{b[7], b[9], b[10], b[11]}), // of /56
		netip.AddrFrom4([4]byte{b[6], b[7], b[9], b[10]}),  // of /48
	}
	return slices.DeleteFunc(all, zeroNet.Contains)
}
