package access

import (
	"crypto/tls"
	"log/slog"
)

// ServerTLS returns the TLS configuration of a server from a certificate file and a key
// file. It reloads the files after they change. It offers HTTP/2, so that a page can
// follow many jobs over one connection.
func ServerTLS(certificate, key string, log *slog.Logger) (*tls.Config, error) {
	files, err := openCertificate(certificate, key, log)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return files.get(), nil },
	}, nil
}

func openCertificate(certificate, key string, log *slog.Logger) (*watchedFile[*tls.Certificate], error) {
	files := &watchedFile[*tls.Certificate]{
		paths: []string{certificate, key}, public: 1, setting: "RUNNERBEAN_TLS_CERT and RUNNERBEAN_TLS_KEY", log: log,
		parse: func(contents []string) (*tls.Certificate, error) {
			pair, err := tls.X509KeyPair([]byte(contents[0]), []byte(contents[1]))
			return &pair, err
		},
	}
	return files, files.open()
}
