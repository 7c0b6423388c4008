package pool

import (
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

// maxSegments bounds the path of a base URL, and so the number of prefixes of a URL that
// are compared.
const maxSegments = 32

var defaultPorts = map[string]string{"http": "80", "https": "443"}

// Canonical returns the one form of all texts that name the same http or https URL, or
// "" for another text. It has neither user, query, fragment nor slash at its end.
func Canonical(raw string) string {
	origin, segments, ok := parts(raw)
	if !ok {
		return ""
	}
	return strings.Join(append([]string{origin}, segments...), "/")
}

// prefixes returns the canonical URLs below which a URL is, by whole segments of its
// path, the longest first. It returns nil for a text that is no http or https URL.
func prefixes(raw string) (list []string) {
	prefix, segments, ok := parts(raw)
	if !ok {
		return nil
	}
	list = append(list, prefix)
	for _, s := range segments[:min(len(segments), maxSegments)] {
		prefix += "/" + s
		list = append(list, prefix)
	}
	slices.Reverse(list)
	return list
}

// parts returns the canonical origin of a URL and the segments of its path.
func parts(raw string) (origin string, segments []string, ok bool) {
	u, err := url.Parse(raw)
	if err != nil {
		return "", nil, false
	}
	scheme := strings.ToLower(u.Scheme)
	host, ok := canonicalHost(u.Hostname())
	port := u.Port()
	if defaultPorts[scheme] == "" || !ok {
		return "", nil, false
	}
	if port != "" {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			return "", nil, false
		}
		if port = strconv.FormatUint(n, 10); port == defaultPorts[scheme] {
			port = ""
		}
	}
	switch {
	case port != "":
		host = net.JoinHostPort(host, port)
	case strings.Contains(host, ":"):
		host = "[" + host + "]"
	}
	segments, ok = canonicalPath(u.EscapedPath())
	return scheme + "://" + host, segments, ok
}

// canonicalHost returns a host name in lower case and in ASCII, without the dot of the
// root at its end, or an address in its shortest form, without a zone.
func canonicalHost(host string) (string, bool) {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.WithZone("").String(), true
	}
	ascii, err := idna.Lookup.ToASCII(host)
	if err != nil {
		ascii = strings.ToLower(host) // such as a name with an underscore
	}
	ascii = strings.TrimRight(ascii, ".")
	return ascii, ascii != "" && strings.Trim(ascii, "abcdefghijklmnopqrstuvwxyz0123456789.-_") == ""
}

// canonicalPath returns the segments of a path, each with the least escapes, without dot
// segments and without empty ones at the end.
func canonicalPath(escaped string) (segments []string, ok bool) {
	for _, raw := range strings.Split(strings.TrimPrefix(escaped, "/"), "/") {
		s, err := url.PathUnescape(raw)
		if err != nil {
			return nil, false
		}
		switch s {
		case ".":
		case "..":
			segments = segments[:max(0, len(segments)-1)]
		default:
			segments = append(segments, url.PathEscape(s))
		}
	}
	for len(segments) > 0 && segments[len(segments)-1] == "" {
		segments = segments[:len(segments)-1]
	}
	return segments, true
}
