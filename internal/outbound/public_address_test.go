package outbound

import (
	"net/netip"
	"testing"
)

func networks(list ...string) (all []netip.Prefix) {
	for _, text := range list {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

func TestReachable(t *testing.T) {
	t.Parallel()
	own := networks("10.0.0.0/8", "127.0.0.0/8", "fd00::/8")
	for _, test := range []struct {
		addr  string
		allow []netip.Prefix
		want  bool
	}{
		{"8.8.8.8", nil, true},
		{"2606:4700::1111", nil, true},
		{"10.1.2.3", nil, false},
		{"10.1.2.3", own, true},
		{"fd00::5", own, true},
		{"::1", networks("::1/128"), true},
		{"::", networks("::1/128"), false},
		{"169.254.169.254", own, false},
		{"fe80::1%eth0", everything, false},
		{"2001:db8::1", nil, false},
		{"5f00::1", nil, false},

		// IPv4 that is mapped.
		{"::ffff:8.8.8.8", nil, true},
		{"::ffff:10.1.2.3", own, false},
		{"::ffff:10.1.2.3", everything, false},
		{"::ffff:169.254.169.254", everything, false},

		// NAT64: the public ones, without any setting.
		{"64:ff9b::8.8.8.8", nil, true},
		{"64:ff9b::8.8.8.8", own, true},
		{"64:ff9b::10.1.2.3", own, false},
		{"64:ff9b::10.1.2.3", everything, false},
		{"64:ff9b::169.254.169.254", networks("64:ff9b::/96"), false},
		{"64:ff9b::169.254.169.254", everything, false},
		{"64:ff9b::127.0.0.1", everything, false},
		{"64:ff9b::100.64.0.1", everything, false},
		{"64:ff9b::0.0.0.0", everything, false},
		{"64:ff9b::224.0.0.1", everything, false},
		{"64:ff9b:0:1::8.8.8.8", nil, false},

		// NAT64 for local use, with prefixes of every length of RFC 6052.
		{"64:ff9b:1::8.8.8.8", nil, true},
		{"64:ff9b:1:1::8.8.8.8", nil, true},
		{"64:ff9b:1:808:8:800::", nil, true},   // /48
		{"64:ff9b:1:8:8:808::", nil, true},     // /56
		{"64:ff9b:1:0:8:808:800:0", nil, true}, // /64
		{"64:ff9b:1::10.1.2.3", everything, false},
		{"64:ff9b:1::169.254.169.254", everything, false},
		{"64:ff9b:1:a9fe:a9:fe00::", everything, false},
		{"64:ff9b:1:a9:fe:a9fe::", everything, false},
		{"64:ff9b:1:0:a9:fea9:fe00:0", everything, false},
		{"64:ff9b:1::", everything, false},

		// Forms that are of the past, or of tunnels.
		{"::8.8.8.8", nil, false},
		{"::8.8.8.8", everything, true},
		{"::10.1.2.3", everything, false},
		{"::127.0.0.1", everything, false},
		{"::ffff:0:8.8.8.8", nil, false},
		{"::ffff:0:10.1.2.3", everything, false},
		{"2002:808:808::1", nil, false},
		{"2002:808:808::1", everything, true},
		{"2002:a01:203::1", everything, false},
		{"2002:a9fe:a9fe::1", networks("2002::/16"), false},
		{"2002:808:808::5efe:10.1.2.3", everything, false},
		{"2001:0:808:808::f7f7:f7f7", everything, true},  // 8.8.8.8 behind 8.8.8.8
		{"2001:0:808:808::f5fe:fdfc", everything, false}, // 10.1.2.3 behind it
		{"2001:0:a01:203::f7f7:f7f7", everything, false},
		{"2606:4700::5efe:8.8.8.8", nil, true},
		{"2606:4700::5efe:10.1.2.3", nil, false},
		{"2606:4700::200:5efe:10.1.2.3", everything, false},
		{"fd00::5efe:10.1.2.3", own, false},
	} {
		if got := reachable(netip.MustParseAddr(test.addr), test.allow); got != test.want {
			t.Errorf("%s with %v: %v, want %v", test.addr, test.allow, got, test.want)
		}
	}
}

// FuzzWrapped: whatever is allowed, no form of an IPv4 address that is not public
// is asked, and a form of a public one is no crash.
func FuzzWrapped(f *testing.F) {
	for _, seed := range []uint32{0x0a010203, 0xa9fea9fe, 0x7f000001, 0x08080808, 0xc0a80001, 0} {
		f.Add(seed, uint64(0), uint32(0))
		f.Add(seed, uint64(0xfedcba9876543210), ^uint32(0))
	}
	f.Fuzz(func(t *testing.T, v4 uint32, other uint64, more uint32) {
		a := [4]byte{byte(v4 >> 24), byte(v4 >> 16), byte(v4 >> 8), byte(v4)}
		inner := netip.AddrFrom4(a)
		o := func(i int) byte { return byte(other >> (8 * i)) }
		forms := map[string][16]byte{
			"mapped":      {10: 255, 11: 255, 12: a[0], 13: a[1], 14: a[2], 15: a[3]},
			"translated":  {8: 255, 9: 255, 12: a[0], 13: a[1], 14: a[2], 15: a[3]},
			"nat64":       {1: 0x64, 2: 255, 3: 0x9b, 12: a[0], 13: a[1], 14: a[2], 15: a[3]},
			"local /48":   {1: 0x64, 2: 255, 3: 0x9b, 5: 1, 6: a[0], 7: a[1], 9: a[2], 10: a[3], 11: o(0), 12: o(1), 13: o(2), 14: o(3), 15: o(4)},
			"local /56":   {1: 0x64, 2: 255, 3: 0x9b, 5: 1, 6: o(0), 7: a[0], 9: a[1], 10: a[2], 11: a[3], 12: o(1), 13: o(2), 14: o(3), 15: o(4)},
			"local /64":   {1: 0x64, 2: 255, 3: 0x9b, 5: 1, 6: o(0), 7: o(1), 9: a[0], 10: a[1], 11: a[2], 12: a[3], 13: o(2), 14: o(3), 15: o(4)},
			"local /96":   {1: 0x64, 2: 255, 3: 0x9b, 5: 1, 6: o(0), 7: o(1), 9: o(2), 10: o(3), 11: o(4), 12: a[0], 13: a[1], 14: a[2], 15: a[3]},
			"6to4":        {0: 0x20, 1: 2, 2: a[0], 3: a[1], 4: a[2], 5: a[3], 6: o(0), 7: o(1), 8: o(2), 15: o(3)},
			"teredo":      {0: 0x20, 1: 1, 4: o(0), 5: o(1), 6: o(2), 7: o(3), 12: ^a[0], 13: ^a[1], 14: ^a[2], 15: ^a[3]},
			"isatap":      {0: 0x26, 1: o(0), 2: o(1), 3: o(2), 4: o(3), 10: 0x5e, 11: 0xfe, 12: a[0], 13: a[1], 14: a[2], 15: a[3]},
			"compatible":  {12: a[0], 13: a[1], 14: a[2], 15: a[3]},
			"anything at": {0: byte(more), 1: byte(more >> 8), 2: o(0), 3: o(1), 4: o(2), 5: o(3), 6: o(4), 7: o(5), 8: o(6), 9: o(7), 12: a[0], 13: a[1], 14: a[2], 15: a[3]},
		}
		for name, bytes := range forms {
			addr := netip.AddrFrom16(bytes)
			ok := reachable(addr, everything)
			known := name != "anything at" && !zeroNet.Contains(inner)
			if known && ok && !public(inner) {
				t.Errorf("%s: %s wraps %s", name, addr, inner)
			}
			if reachable(addr, nil) && !ok {
				t.Errorf("%s: to allow more forbids it", addr)
			}
		}
	})
}
