package fastpath

import "bytes"

// Request is a simple GET. Its slices are those of the connection's buffer.
type Request struct {
	// ID is the path without its slash, any 36 bytes.
	ID []byte
	// Fields that the answer may depend on; nil where they are missing.
	Accept, AcceptEncoding, IfNoneMatch, UserAgent []byte
}

const (
	idLength = 36
	opening  = "GET /"
	version  = " HTTP/1.1\r\n"
	start    = len(opening) + idLength + len(version)
)

// Parse fills r and returns true if b is exactly one simple request. If one byte is
// unusual it returns false, and net/http decides what the request means.
func Parse(b []byte, r *Request) bool {
	if len(b) < start+4 || string(b[:len(opening)]) != opening || string(b[start-len(version):start]) != version {
		return false
	}
	*r = Request{ID: b[len(opening) : len(opening)+idLength]}
	host := false
	for b = b[start:]; ; {
		end := bytes.IndexByte(b, '\r')
		if end < 0 || end+1 >= len(b) || b[end+1] != '\n' {
			return false
		}
		if end == 0 {
			return host && len(b) == 2
		}
		name, value, ok := field(b[:end])
		if !ok || !r.take(name, value, &host) {
			return false
		}
		b = b[end+2:]
	}
}

// field splits a line of printable ASCII.
func field(line []byte) (name, value []byte, ok bool) {
	colon := -1
	for i, c := range line {
		if c < ' ' || c > '~' {
			return nil, nil, false
		}
		if colon < 0 {
			if c == ':' {
				colon = i
			} else if !nameByte[c] {
				return nil, nil, false
			}
		}
	}
	if colon <= 0 {
		return nil, nil, false
	}
	return line[:colon], bytes.Trim(line[colon+1:], " "), true
}

var nameByte, hostByte = set("-_"), set(".:-[]")

// set returns the set of letters, digits and more.
func set(more string) (s [256]bool) {
	for c := range s {
		letter := byte(c) | 0x20
		s[c] = c < 128 && (letter >= 'a' && letter <= 'z' || c >= '0' && c <= '9')
	}
	for _, c := range []byte(more) {
		s[c] = true
	}
	return s
}

// take reads one field. It returns false if net/http must answer because of it.
func (r *Request) take(name, value []byte, host *bool) bool {
	switch len(name) {
	case 4:
		if is(name, "host") {
			return once(host, value)
		}
	case 6:
		switch {
		case is(name, "accept"):
			return keep(&r.Accept, value)
		case is(name, "expect"), is(name, "prefer"):
			return false
		}
	case 15:
		if is(name, "accept-encoding") {
			return keep(&r.AcceptEncoding, value)
		}
	case 13:
		if is(name, "if-none-match") {
			return keep(&r.IfNoneMatch, value)
		}
		return !is(name, "authorization")
	case 10:
		switch {
		case is(name, "connection"):
			return is(value, "keep-alive")
		case is(name, "user-agent"):
			return keep(&r.UserAgent, value)
		}
	}
	return !unusual(name)
}

// unusual reports whether a field may change what the answer is.
func unusual(name []byte) bool {
	for _, u := range [...]string{
		"content-length", "transfer-encoding", "upgrade", "range", "if-range", "if-match", "if-modified-since",
		"if-unmodified-since", "trailer", "te", "http2-settings", "access-control-request-method",
	} {
		if is(name, u) {
			return true
		}
	}
	return false
}

// is reports whether b is lower in any case. lower is in lower case.
func is(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// once reads the Host field, and returns false for a second one.
func once(host *bool, value []byte) bool {
	for _, c := range value {
		if !hostByte[c] {
			return false
		}
	}
	first := !*host
	*host = true
	return first && len(value) > 0
}

// keep stores a field, and returns false for a second one.
func keep(to *[]byte, value []byte) bool {
	if *to != nil {
		return false
	}
	*to = value[:len(value):len(value)]
	return *to != nil
}
