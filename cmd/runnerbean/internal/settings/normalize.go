package settings

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/runnerbean/runnerbean/internal/ledger/postgres"
	"github.com/runnerbean/runnerbean/internal/queue"
	"github.com/runnerbean/runnerbean/internal/store"
)

// defaultListenPort is used where RUNNERBEAN_LISTEN is only a host.
const defaultListenPort = "8420"

// normalize rewrites settings that may be written in several ways.
func (s *Settings) normalize() error {
	s.FetchAllow, s.Proxies, s.CORS = trimmed(s.FetchAllow), trimmed(s.Proxies), trimmed(s.CORS)
	for i, origin := range s.CORS {
		s.CORS[i] = strings.ToLower(strings.TrimRight(origin, "/"))
	}
	s.Prefix = strings.Trim(s.Prefix, "/")
	var errs []error
	check := func(name string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("%s%s: %w", EnvPrefix, name, err))
		}
	}
	var err error
	s.Beanstalkd, err = servers(s.Beanstalkd)
	check("BEANSTALKD", err)
	s.Listen, err = listenAddr(s.Listen)
	check("LISTEN", err)
	s.BaseURL, err = baseURL(s.BaseURL)
	check("BASE_URL", err)
	s.FormerURLs = trimmed(s.FormerURLs)
	for i, former := range s.FormerURLs {
		s.FormerURLs[i], err = baseURL(former)
		check("FORMER_URLS", err)
	}
	s.Ledger, err = LedgerName(s.Ledger)
	check("LEDGER", err)
	s.Store, err = storeName(s.Store)
	check("STORE", err)
	for field, value := range fields(s) {
		if _, ok := field.Tag.Lookup("choices"); ok {
			value.SetString(strings.ToLower(value.String()))
		}
		if field.Tag.Get("path") != "" {
			path, err := absolute(value.String())
			value.SetString(path)
			check(field.Tag.Get("env"), err)
		}
	}
	return errors.Join(errs...)
}

// absolute returns an absolute path. It replaces ~ by the home folder: in a file of
// settings no shell does that. "" stays "".
func absolute(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		path = filepath.Join(home, rest)
	}
	return filepath.Abs(path)
}

// trimmed returns a list without empty entries and without blanks around entries.
func trimmed(list []string) []string {
	var out []string
	for _, entry := range list {
		if entry = strings.TrimSpace(entry); entry != "" {
			out = append(out, entry)
		}
	}
	return out
}

// servers returns the addresses of beanstalkd servers, each once.
func servers(list []string) ([]string, error) {
	var out []string
	known := map[string]bool{}
	for _, text := range trimmed(list) {
		addr, err := queue.ParseAddr(text)
		if err != nil {
			return nil, err
		}
		if !known[addr] {
			out = append(out, addr)
		}
		known[addr] = true
	}
	if len(out) == 0 {
		return nil, errors.New("it names no server")
	}
	return out, nil
}

// listenAddr returns host:port for an address that may lack either.
func listenAddr(text string) (string, error) {
	const wanted = "an address such as 127.0.0.1:8420 or 0.0.0.0:8420 is wanted"
	host, port := strings.Trim(text, "[]"), defaultListenPort
	switch _, err := netip.ParseAddr(host); {
	case err == nil:
	case strings.Trim(text, "0123456789") == "":
		host, port = "127.0.0.1", text
	case strings.Contains(text, ":"):
		if host, port, err = net.SplitHostPort(text); err != nil {
			return "", fmt.Errorf("%w: %s", err, wanted)
		}
	}
	if host == "*" {
		host = ""
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n > 65535 {
		return "", fmt.Errorf("%.70q is not a port: %s", port, wanted)
	}
	if strings.ContainsAny(host, "/@ ,") {
		return "", fmt.Errorf("%.70q is not a host: %s", host, wanted)
	}
	return net.JoinHostPort(host, port), nil
}

// baseURL checks a URL and drops the slash at its end. "" stays "".
func baseURL(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return "", errors.New("it is not a URL such as https://results.example")
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || strings.Contains(text, "#"):
		return "", errors.New("an id is added to it: it must not have a user, a query or a fragment")
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Hostname() == "":
		return "", fmt.Errorf("%.100q is not a URL such as https://results.example: it begins with http:// or https:// and a host", text)
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return "", fmt.Errorf("%q is not a port", port)
		}
	}
	return strings.TrimRight(u.String(), "/"), nil
}

// named quotes the scheme of a URL, unless it is none: then it may hold a password.
func named(scheme string, found bool) string {
	if !found || strings.Trim(strings.ToLower(scheme), "abcdefghijklmnopqrstuvwxyz0123456789+.-") != "" {
		return "it"
	}
	return strconv.Quote(scheme[:min(len(scheme), 20)])
}

// LedgerName returns sqlite:PATH with an absolute path, or the URL of a database. "" stays
// "". The error never repeats a URL, which may hold a password.
func LedgerName(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	scheme, path, found := strings.Cut(text, ":")
	switch {
	case filepath.IsAbs(text):
		path = text
	case strings.EqualFold(scheme, "postgres"), strings.EqualFold(scheme, "postgresql"):
		if err := postgres.CheckURL("postgres:" + path); err != nil {
			return "", err
		}
		return "postgres:" + path, nil
	case !found || !strings.EqualFold(scheme, "sqlite"):
		return "", fmt.Errorf("%s is not a ledger that this version knows: write sqlite:/PATH or postgres://USER@HOST/DATABASE", named(scheme, found))
	case strings.HasPrefix(path, "///"):
		path = path[2:]
	}
	if path == "" || strings.HasPrefix(path, "//") || strings.ContainsAny(path, "?#") {
		return "", errors.New("write sqlite:/PATH")
	}
	path, err := absolute(path)
	return ledgerScheme + path, err
}

// storeName returns file:///PATH with an absolute path. "" stays "".
func storeName(text string) (string, error) {
	scheme, path, found := strings.Cut(text, ":")
	switch {
	case text == "":
		return "", nil
	case filepath.IsAbs(text):
		path = text
	case store.IsBucket(text):
		return store.BucketName(text)
	case !found || !strings.EqualFold(scheme, "file"):
		return "", fmt.Errorf("%s is not a store that this version knows: write file:///PATH or s3://BUCKET/PREFIX?endpoint=URL", named(scheme, found))
	case strings.HasPrefix(path, "//"):
		u, err := url.Parse("file:" + path)
		if err != nil || u.Host != "" && u.Host != "localhost" || u.RawQuery != "" || u.Fragment != "" || u.Path == "" {
			return "", errors.New("write file:///PATH")
		}
		path = u.Path
	}
	path, err := absolute(path)
	return (&url.URL{Scheme: "file", Path: path}).String(), err
}
