package queue

import (
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
)

const (
	// defaultPort is the TCP port of beanstalkd.
	defaultPort = "11300"
	// maxSocket is the longest path of a Unix socket, in bytes, that every system
	// accepts.
	maxSocket = 103
)

// ParseAddr parses the address of a server: host, host:port, [IPv6]:port, an IPv6
// address, or unix:/PATH for the socket of "beanstalkd -l unix:/PATH". It returns the
// canonical form: host:port or unix:/PATH.
func ParseAddr(text string) (string, error) {
	addr, err := parseAddr(strings.TrimSpace(text))
	if err != nil {
		return "", fmt.Errorf("queue: server %.100q: %w: host:port such as 127.0.0.1:11300, or unix:/PATH, is wanted", text, err)
	}
	return addr, nil
}

func parseAddr(text string) (string, error) {
	scheme, rest, found := strings.Cut(text, ":")
	switch lower := strings.ToLower(scheme); {
	case found && lower == "unix":
		return socketAddr(rest)
	case found && (lower == "tcp" || lower == "beanstalk" || lower == "beanstalkd") && strings.HasPrefix(rest, "//"):
		text = strings.TrimSuffix(rest[2:], "/")
	}
	alone := text
	if strings.HasPrefix(text, "[") && strings.HasSuffix(text, "]") {
		alone = text[1 : len(text)-1]
	}
	if ip, err := netip.ParseAddr(alone); err == nil && validZone(ip.Zone()) {
		return net.JoinHostPort(ip.String(), defaultPort), nil
	}
	if !strings.Contains(text, ":") {
		text += ":" + defaultPort
	}
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return "", err
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", fmt.Errorf("%q is no port, 1 to 65535 are", port)
	}
	if ip, err := netip.ParseAddr(host); err == nil && validZone(ip.Zone()) {
		return net.JoinHostPort(ip.String(), port), nil
	}
	if !validHost(host) {
		return "", fmt.Errorf("%q is no host", host)
	}
	return net.JoinHostPort(strings.ToLower(host), port), nil
}

func socketAddr(path string) (string, error) {
	path = strings.TrimPrefix(path, "//")
	switch {
	case !filepath.IsAbs(path):
		return "", fmt.Errorf("%q is no absolute path", path)
	case len(path) > maxSocket:
		return "", fmt.Errorf("its path has %d bytes, at most %d are possible", len(path), maxSocket)
	case strings.ContainsAny(path, "\x00\n"):
		return "", fmt.Errorf("%q is no path", path)
	}
	return "unix:" + filepath.Clean(path), nil
}

// validHost reports whether host is a name that DNS can look up. It allows underscores
// because names of containers contain them.
func validHost(host string) bool {
	if host == "" || len(host) > 253 || strings.EqualFold(host, "unix") { // unix: is a socket
		return false
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(host, "."), ".") {
		letters := strings.Trim(strings.ToLower(label), "abcdefghijklmnopqrstuvwxyz0123456789-_") == ""
		if label == "" || len(label) > 63 || !letters || label[0] == '-' {
			return false
		}
	}
	return true
}

// validZone reports whether zone can be the name of a network interface.
func validZone(zone string) bool { return len(zone) < 16 && !strings.ContainsAny(zone, "[]:/% ") }

// Network returns the network and address of a server as net.Dial expects them.
func Network(addr string) (network, address string) {
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		return "unix", path
	}
	return "tcp", addr
}
