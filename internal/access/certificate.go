package access

import (
	"crypto/tls"
	"log/slog"
)

// Certificate is the certificate of a server, from a certificate file and a key file. It
// reloads the files after they change.
type Certificate struct {
	files *watchedFile[*tls.Certificate]
}

// OpenCertificate reads the files for the first time.
func OpenCertificate(certificate, key string, log *slog.Logger) (*Certificate, error) {
	files := &watchedFile[*tls.Certificate]{
		paths: []string{certificate, key}, public: 1, setting: "RUNNERBEAN_TLS_CERT and RUNNERBEAN_TLS_KEY", log: log,
		parse: func(contents []string) (*tls.Certificate, error) {
			pair, err := tls.X509KeyPair([]byte(contents[0]), []byte(contents[1]))
			return &pair, err
		},
	}
	return &Certificate{files}, files.open()
}

// ServerTLS returns the TLS configuration of a server that shows the newest certificate.
// It offers HTTP/2, so that a page can follow many jobs over one connection.
func (c *Certificate) ServerTLS() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.files.get(), nil },
	}
}

// Reload reads the files now and logs what has come of it. Files with a fault change
// nothing.
func (c *Certificate) Reload() { c.files.reload() }
