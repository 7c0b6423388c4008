package settings

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/runnerbean/runnerbean/internal/access"
	"github.com/runnerbean/runnerbean/internal/queue"
	"github.com/runnerbean/runnerbean/internal/signature"
)

const (
	// maxPrefix leaves room in a tube's name for the rest of it.
	maxPrefix = 64
	maxNode   = 64
)

// check returns an error that names every setting that cannot work.
func (s *Settings) check() error {
	_, badNetwork := s.FetchNetworks()
	_, badProxies := s.ProxyNetworks()
	_, badProxy := s.FetchProxyURL()
	return errors.Join(badNetwork, badProxies, badProxy, s.checkNames(), s.checkTags(), s.checkFolders(), s.checkFiles(),
		s.checkOrigins(), s.checkAccess(), s.checkWebhook())
}

func (s *Settings) checkNames() error {
	var errs []error
	if err := queue.ValidTube(queue.InboxTube(s.Prefix)); err != nil || s.Prefix == "" || len(s.Prefix) > maxPrefix {
		errs = append(errs, fmt.Errorf("RUNNERBEAN_PREFIX has 1 to %d letters, digits and -+/;.$_(), and does not begin with -", maxPrefix))
	}
	letters := strings.Trim(s.Node, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") == ""
	if !letters || s.Node == "" || len(s.Node) > maxNode || s.Node == "." || s.Node == ".." {
		errs = append(errs, fmt.Errorf("RUNNERBEAN_NODE: %.70q is not a name for a node, which has 1 to %d letters, digits, dots, hyphens and underscores", s.Node, maxNode))
	}
	return errors.Join(errs...)
}

// checkFolders refuses paths that can never be folders.
func (s *Settings) checkFolders() error {
	folders := map[string]string{"DATA": s.Data, "PROGRAMS": s.Programs, "LEDGER": cmp.Or(s.LedgerFolder(), s.Data), "STORE": cmp.Or(s.StoreFolder(), s.Data)}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(folders)) {
		if err := folderFault(folders[name]); err != nil {
			errs = append(errs, fmt.Errorf("%s%s: %w", EnvPrefix, name, err))
		}
	}
	if info, err := os.Stat(s.LedgerPath()); err == nil && !info.Mode().IsRegular() {
		errs = append(errs, fmt.Errorf("RUNNERBEAN_LEDGER: %s is not a file", s.LedgerPath()))
	}
	return errors.Join(errs...)
}

// folderFault returns why a path can never be a folder. A path that does not exist is
// allowed: the node makes the folder.
func folderFault(path string) error {
	info, err := os.Stat(path)
	switch {
	case err == nil && !info.IsDir():
		return fmt.Errorf("%s is a file, not a folder", path)
	case errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("%s is below a file", path)
	case errors.Is(err, syscall.ENAMETOOLONG), errors.Is(err, syscall.ELOOP):
		return err
	}
	return nil
}

// checkFiles reads the files that settings name.
func (s *Settings) checkFiles() error {
	quiet := slog.New(slog.DiscardHandler)
	var errs []error
	if s.TLSCert != "" && s.TLSKey != "" {
		if _, err := tls.LoadX509KeyPair(s.TLSCert, s.TLSKey); err != nil {
			errs = append(errs, fmt.Errorf("RUNNERBEAN_TLS_CERT, RUNNERBEAN_TLS_KEY: %w", err))
		}
	}
	if s.URLKeyFile != "" {
		if _, err := access.OpenKeys(s.URLKeyFile, quiet); err != nil {
			errs = append(errs, err) // names the setting
		}
	}
	if _, err := access.OpenTokens("", s.Token, quiet); err != nil {
		errs = append(errs, err) // names the setting
	}
	switch _, err := access.OpenTokens(s.TokensFile, "", quiet); {
	case errors.Is(err, fs.ErrNotExist):
		errs = append(errs, fmt.Errorf("%w; \"runnerbean token add NAME --role operator\" makes the file and a token", err))
	case err != nil:
		errs = append(errs, err)
	}
	if err := s.checkWebhookKey(); err != nil {
		errs = append(errs, fmt.Errorf("RUNNERBEAN_WEBHOOK_KEY_FILE: %w", err))
	}
	return errors.Join(errs...)
}

// checkWebhookKey checks a key file that is not the default one.
func (s *Settings) checkWebhookKey() error {
	if !s.NamesWebhookKey() {
		return nil
	}
	text, err := os.ReadFile(s.WebhookKey)
	switch {
	case err == nil:
		_, err = signature.WebhookKey(string(text))
		return err
	case errors.Is(err, fs.ErrNotExist): // it is made at the first start
		_, err = os.Stat(filepath.Dir(s.WebhookKey))
	}
	return err
}

func (s *Settings) checkOrigins() error {
	for _, origin := range s.CORS {
		u, err := url.Parse(origin)
		if err != nil || u.Scheme == "" || u.Host == "" || u.Scheme+"://"+u.Host != origin {
			return fmt.Errorf("RUNNERBEAN_CORS: %.100q is not an origin such as https://www.example", origin)
		}
	}
	return nil
}

// checkAccess refuses settings that give access to more than was meant.
func (s *Settings) checkAccess() error {
	switch {
	case s.Results == ResultsSigned && s.URLKeyFile == "":
		return errors.New("RUNNERBEAN_RESULTS=signed needs RUNNERBEAN_URL_KEY_FILE, a file with a line as openssl rand -base64 32 prints")
	case (s.TLSCert == "") != (s.TLSKey == ""):
		return errors.New("set both RUNNERBEAN_TLS_CERT and RUNNERBEAN_TLS_KEY, or neither")
	case s.TLSCert != "" && strings.HasPrefix(s.BaseURL, "http://"):
		return errors.New("RUNNERBEAN_BASE_URL begins with http://, but the node speaks TLS: begin it with https://")
	}
	return nil
}

// checkWebhook checks RUNNERBEAN_WEBHOOK. Its errors do not quote the URL, which may
// hold a secret.
func (s *Settings) checkWebhook() error {
	u, err := url.Parse(s.Webhook)
	switch {
	case s.Webhook == "":
		return nil
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil:
		return errors.New("RUNNERBEAN_WEBHOOK must be an http or https URL without user name or password")
	}
	return nil
}
