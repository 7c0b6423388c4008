package access

import (
	"net/netip"
	"sync"
	"time"
)

const (
	// FailureBurst is how many failures in a row an address may have. After that it may
	// have one a second.
	FailureBurst = 20
	// failureAddresses bounds how many networks are remembered.
	failureAddresses = 4096
)

// Failures counts wrong tokens and signatures by network. Each count falls by one a
// second. The zero value is ready to use.
type Failures struct {
	mu   sync.Mutex
	seen map[netip.Prefix]time.Time // when the count reaches zero
}

// TooMany reports whether an address has failed too often to try again now.
func (f *Failures) TooMany(ip string, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.seen[NetworkOf(ip)].Sub(now) > FailureBurst*time.Second
}

// Count records a failure.
func (f *Failures) Count(ip string, now time.Time) {
	from := NetworkOf(ip)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.seen == nil {
		f.seen = map[netip.Prefix]time.Time{}
	}
	empty := f.seen[from]
	if empty.Before(now) {
		empty = now
	}
	if len(f.seen) >= failureAddresses {
		f.forget(now)
	}
	// Failures beyond the burst do not extend the wait.
	if limit := now.Add((FailureBurst + 1) * time.Second); empty.After(limit) {
		empty = limit
	}
	f.seen[from] = empty.Add(time.Second)
}

// forget removes expired counts. If too many remain, it removes others until half of
// failureAddresses are left.
func (f *Failures) forget(now time.Time) {
	for from, empty := range f.seen {
		if empty.Before(now) {
			delete(f.seen, from)
		}
	}
	for from := range f.seen {
		if len(f.seen) <= failureAddresses/2 {
			return
		}
		delete(f.seen, from)
	}
}

// NetworkOf returns the network that a client at ip is assumed to control: the address
// itself for IPv4, its /64 for IPv6. The result is invalid if ip is not an address.
func NetworkOf(ip string) netip.Prefix {
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return netip.Prefix{}
	}
	bits := 64
	if addr = addr.Unmap(); addr.Is4() {
		bits = 32
	}
	prefix, err := addr.WithZone("").Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return prefix
}
