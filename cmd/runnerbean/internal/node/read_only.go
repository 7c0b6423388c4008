package node

import (
	"errors"
	"net"
	"net/url"
	"strings"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
)

// readOnly returns why a node that others can reach accepts no changes over HTTP, or
// "". Behind a proxy on this machine the base URL shows that others can reach it.
func readOnly(set settings.Settings, listening net.Addr) string {
	if set.Token != "" || set.TokensFile != "" {
		return ""
	}
	if host, _, _ := net.SplitHostPort(listening.String()); !loopback(host) {
		return "this node listens beyond loopback and has no tokens: set RUNNERBEAN_TOKENS_FILE to submit and cancel over HTTP"
	}
	if base, err := url.Parse(set.BaseURL); err != nil || !loopback(base.Hostname()) {
		return "RUNNERBEAN_BASE_URL says that others can reach this node, and it has no tokens: set RUNNERBEAN_TOKENS_FILE to submit and cancel over HTTP"
	}
	return ""
}

// loopback reports whether a host can only mean this machine.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback() || strings.EqualFold(host, "localhost")
}

// checkPrivate refuses signed results on a node whose pages show them to everybody.
func checkPrivate(set settings.Settings, listening net.Addr) error {
	if set.Results == settings.ResultsSigned && readOnly(set, listening) != "" {
		return &settings.Error{Err: errors.New("with RUNNERBEAN_RESULTS=signed a node that others can reach needs tokens, or everybody would read the results on its pages: set RUNNERBEAN_TOKENS_FILE")}
	}
	return nil
}
