package outbound

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/url"
	"strings"
	"syscall"
)

// Why a server is not asked.
const (
	notPublic    = "is neither at a public address nor in a network of RUNNERBEAN_FETCH_ALLOW"
	portRefused  = "has port 11300, that of beanstalkd, which is never asked"
	isBeanstalkd = "is a beanstalkd server, which is never asked"
	isDatabase   = "is the database of the ledger, which is never asked"
	isThisNode   = "is this node, which never asks itself"
)

// refusal is why a server is not asked.
type refusal struct{ host, why string }

func (r *refusal) Error() string {
	return "the address is not allowed: " + cmp.Or(r.host, "it") + " " + r.why
}

// Forbidden reports whether an address was refused. The error says why.
func Forbidden(err error) bool {
	_, ok := errors.AsType[*refusal](err)
	return ok
}

// ItselfForbidden reports whether an address was refused that leads to this node.
func ItselfForbidden(err error) bool {
	r, ok := errors.AsType[*refusal](err)
	return ok && r.why == isThisNode
}

// fault is an error in words for the author of the URL: it names hosts as the URL
// does, and never an address, a name server or a certificate's other names, because
// those may be of the own network.
type fault struct {
	text string
	err  error
}

func (f *fault) Error() string { return f.text }
func (f *fault) Unwrap() error { return f.err }

// dialFault is the error of dialling address, whose host is host.
func dialFault(err error, host, address string) error {
	if r, ok := errors.AsType[*refusal](err); ok {
		return &refusal{host: host, why: r.why}
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return &fault{dnsText(dns, host), err}
	}
	return &fault{address + ": " + cause(err), err}
}

func dnsText(err *net.DNSError, host string) string {
	switch {
	case err.IsNotFound:
		return "no address is known for " + host
	case err.IsTimeout:
		return "the address of " + host + " could not be looked up in time"
	}
	return "the address of " + host + " could not be looked up"
}

// cause is what lies below the addresses in an error of a connection.
func cause(err error) string {
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno.Error()
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return context.DeadlineExceeded.Error()
	case errors.Is(err, context.Canceled):
		return context.Canceled.Error()
	case isTimeout(err):
		return "it did not answer in time"
	}
	return "the connection failed"
}

func isTimeout(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}

// readable makes an error of a request or its answer fit for the author of the URL.
func readable(err error, u *url.URL) error {
	var said *fault
	switch {
	case err == nil, err == io.EOF, Forbidden(err), errors.As(err, &said):
		return err
	}
	if wrong, ok := errors.AsType[x509.HostnameError](err); ok {
		return &fault{"its certificate is not for " + wrong.Host, err}
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return dialFault(err, u.Hostname(), u.Host)
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		if op.Op == "proxyconnect" {
			return &fault{"the node's proxy (RUNNERBEAN_FETCH_PROXY): " + cause(err), err}
		}
		return &fault{"the connection broke: " + cause(err), err}
	}
	// The second is net/http's word for a server that speaks before it is asked.
	if text := err.Error(); strings.Contains(text, "malformed HTTP") || strings.Contains(text, "readLoopPeekFailLocked") {
		return &fault{"what it answers is not HTTP", err}
	}
	return err
}

// WithoutURL is err without the whole URL that net/http puts before it.
func WithoutURL(err error) error {
	if outer, ok := errors.AsType[*url.Error](err); ok {
		return outer.Err
	}
	return err
}
