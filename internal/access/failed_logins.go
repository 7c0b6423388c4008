package access

import (
	"net/netip"
	"sync"
	"time"
)

const (
	// FailureBurst failures are free; after that one a second.
	FailureBurst = 20
	// failureAddresses bounds how many addresses are remembered.
	failureAddresses = 4096
)

// Failures counts wrong tokens and signatures by address. A count leaks away by
// one a second. The zero value is ready for use.
type Failures struct {
	mu   sync.Mutex
	seen map[netip.Prefix]time.Time // when the count will be zero
}

// TooMany reports whether an address has to keep still.
func (f *Failures) TooMany(ip string, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.seen[NetworkOf(ip)].Sub(now) > FailureBurst*time.Second
}

// Count remembers a failure.
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
	// Beyond the burst more failures change nothing: who stops is soon forgiven.
	if limit := now.Add((FailureBurst + 1) * time.Second); empty.After(limit) {
		empty = limit
	}
	f.seen[from] = empty.Add(time.Second)
}

// forget makes room for many, by force where nothing else helps.
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

// NetworkOf is the network that the client at an address may be thought to have:
// of IPv6 a /64. It is not valid where ip is no address.
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
