package publisher

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/jobs"
)

// newTLS returns a server with its own certificate, and a client that trusts it.
func newTLS(t *testing.T, change ...func(*Config)) (b *bench, addr string, trust *x509.CertPool, stop func() error) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	for name, block := range map[string]*pem.Block{"cert": {Type: "CERTIFICATE", Bytes: der}, "key": {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(filepath.Join(folder, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	trust = x509.NewCertPool()
	trust.AddCert(cert)
	b = newBench(t, append(change, func(c *Config) {
		c.TLSCert, c.TLSKey = filepath.Join(folder, "cert"), filepath.Join(folder, "key")
	})...)
	addr, stop = b.serve()
	return b, addr, trust, stop
}

// TestTLS reads results, files, held answers and streams over HTTP/1.1 and
// HTTP/2.
func TestTLS(t *testing.T) {
	t.Parallel()
	b, addr, trust, stop := newTLS(t)
	for _, version := range []int{1, 2} {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trust}, ForceAttemptHTTP2: version == 2}
		client := &http.Client{Transport: transport}
		done, body := b.succeeded(sized(3000))
		for range 2 {
			r := do(t, client, "GET", "https://"+addr+"/"+done)
			if got := bodyOf(t, r); r.StatusCode != 200 || got != string(body) || r.ProtoMajor != version {
				t.Errorf("HTTP/%d: %d by %s, %d bytes of %d", version, r.StatusCode, r.Proto, len(got), len(body))
			}
			if r.Header.Get("Strict-Transport-Security") == "" {
				t.Error("no Strict-Transport-Security")
			}
		}
		id := b.queued("")
		events := do(t, client, "GET", "https://"+addr+"/"+id+"/events")
		lines := bufio.NewScanner(events.Body)
		awaitLine(t, lines, `"state":"queued"`)
		attempt := b.running(id)
		awaitLine(t, lines, `"state":"running"`)
		b.finish(id, attempt, ledger.Ending{Outcome: jobs.OutcomeFailed, State: jobs.Failed, Error: &jobs.Error{Class: jobs.OutcomeFailed, Message: "m"}})
		awaitLine(t, lines, `"state":"failed"`)
		for lines.Scan() {
		}
		events.Body.Close()
		client.CloseIdleConnections()
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// awaitLine reads lines up to one with a text.
func awaitLine(t *testing.T, lines *bufio.Scanner, want string) {
	t.Helper()
	for lines.Scan() {
		if strings.Contains(lines.Text(), want) {
			return
		}
	}
	t.Fatalf("the stream ended before %s: %v", want, lines.Err())
}

func TestOldTLSIsRefused(t *testing.T) {
	t.Parallel()
	_, addr, trust, stop := newTLS(t)
	for version, good := range map[uint16]bool{tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		conn, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: trust, MinVersion: version, MaxVersion: version})
		if (err == nil) != good {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
		if err == nil {
			conn.Close()
		}
	}
	plain, err := http.Get("http://" + addr + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	plain.Body.Close()
	if plain.StatusCode != 400 {
		t.Errorf("without TLS: %d", plain.StatusCode)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}
