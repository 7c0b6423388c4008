//go:build pool

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/postgres/postgrestest"
	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
)

// secret is the password in all URLs of these tests. No output may have it.
const secret = "topsecret"

// authority is a certificate authority for tests.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	PEM  string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority of a test"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.PEM = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return a
}

// issue returns a certificate of a server with its key, in PEM.
func (a *authority) issue(t *testing.T, host string, until time.Time) (cert, key string) {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: until, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	if ip := net.ParseIP(host); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{host}
	}
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, own.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(own)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
}

// refusal is a setting that cannot work, and what a node and doctor say.
type refusal struct {
	env []string
	// want are the words of both, and of the node where doctor cannot know: it writes nothing.
	want     []string
	nodeOnly bool
}

// check starts a node, and doctor. Both name the setting and the cause, say nothing secret, and say
// it in few lines.
func (r refusal) check(t *testing.T, beanstalkd string) {
	t.Helper()
	p := newNode(t, beanstalkd)
	p.env = append(p.env, r.env...)
	said := p.refused()
	if code := p.cmd.ProcessState.ExitCode(); code <= 0 {
		t.Errorf("the node ends with %d", code)
	}
	r.compare(t, "node", said)
	if lines := strings.Count(said, "\n"); lines > 4 {
		t.Errorf("the node says it in %d lines:\n%s", lines, said)
	}
	out, log, code := p.client("", "doctor")
	if code == 0 && !r.nodeOnly {
		t.Errorf("doctor finds nothing:\n%s", out)
	}
	if r.nodeOnly {
		r.want = nil
	}
	r.compare(t, "doctor", out+log)
	for _, line := range strings.Split(out, "\n") {
		if len(r.want) > 0 && strings.Count(out, line) > 1 && strings.Contains(line, r.want[len(r.want)-1]) {
			t.Errorf("doctor says it twice:\n%s", out)
		}
	}
}

func (r refusal) compare(t *testing.T, who, said string) {
	t.Helper()
	for _, want := range r.want {
		if !strings.Contains(said, want) {
			t.Errorf("%s does not say %q:\n%s", who, want, said)
		}
	}
	for _, never := range []string{secret, "goroutine ", "panic"} {
		if strings.Contains(said, never) {
			t.Errorf("%s says %q:\n%s", who, never, said)
		}
	}
}

// TestPoolLedgerRefused has faults of PostgreSQL and of its URL.
func TestPoolLedgerRefused(t *testing.T) {
	t.Parallel()
	s, err := postgrestest.StartTCP()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err = s.Write("pg_hba.conf", "local all postgres trust\nhost all rejected all reject\nhost all all all scram-sha-256\n")
	must(err)
	must(s.Exec("SELECT pg_reload_conf()"))
	for _, role := range []string{"me", "rejected", "busy CONNECTION LIMIT 0", "reads", "stranger"} {
		must(s.Exec("CREATE ROLE " + role + " LOGIN PASSWORD '" + secret + "'"))
	}
	must(s.Exec("ALTER ROLE reads SET default_transaction_read_only = on", "CREATE DATABASE me OWNER me", "CREATE DATABASE newer OWNER me", "CREATE DATABASE pool OWNER me",
		"CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C' OWNER me"))
	at := func(user, database, query string) []string {
		return []string{fmt.Sprintf("RUNNERBEAN_LEDGER=postgres://%s:%s@127.0.0.1:%d/%s?%s", user, secret, s.Port, database, query)}
	}
	must(newerLedger(t, s, at("me", "newer", "")[0]))
	must(ledgerOfAStore(t, at("me", "pool", "")[0]))
	silent, err := net.Listen("tcp", "127.0.0.1:0") // connections are made, and nobody answers
	must(err)
	t.Cleanup(func() { _ = silent.Close() })
	primary, err := postgrestest.Start()
	must(err)
	t.Cleanup(primary.Stop)
	standby, err := primary.StartStandby(false)
	must(err)
	t.Cleanup(standby.Stop)
	beanstalkd := queuetest.Start(t).Addr
	const setting = "RUNNERBEAN_LEDGER"
	for name, r := range map[string]refusal{
		"password":        {env: []string{fmt.Sprintf("RUNNERBEAN_LEDGER=postgres://me:x%s@127.0.0.1:%d/me", secret, s.Port)}, want: []string{setting, `user "me"`, "refuses the password", "passfile"}},
		"user":            {env: at("nobody", "me", ""), want: []string{setting, `user "nobody"`, "does not know the user"}},
		"database":        {env: at("me", "absent", ""), want: []string{setting, `"absent" does not exist`, "create the database"}},
		"pg_hba":          {env: at("rejected", "me", ""), want: []string{setting, "pg_hba.conf"}},
		"connections":     {env: at("busy", "me", ""), want: []string{setting, "too many connections", "max_connections"}},
		"read only":       {env: at("reads", "me", ""), want: []string{setting, "only reads", "name all hosts"}},
		"standby":         {env: []string{"RUNNERBEAN_LEDGER=" + standby.URL("")}, want: []string{setting, "only reads", "name all hosts"}},
		"permission":      {env: at("stranger", "me", ""), want: []string{setting, "may make no tables", "GRANT ALL ON SCHEMA"}},
		"schema":          {env: at("me", "me", "search_path=absent"), want: []string{setting, "search_path", "CREATE SCHEMA"}},
		"parameter":       {env: at("me", "me", "absent=1"), want: []string{setting, `"absent"`, "remove it from the URL"}},
		"encoding":        {env: at("me", "latin", ""), want: []string{setting, "LATIN1", "UTF8"}},
		"newer":           {env: at("me", "newer", ""), want: []string{"it has schema 999, and this program knows"}},
		"another pool":    {env: at("me", "pool", ""), want: []string{setting, "RUNNERBEAN_STORE", "search_path=NAME"}},
		"no server":       {env: []string{"RUNNERBEAN_LEDGER=postgres://me:" + secret + "@127.0.0.1:1/me"}, want: []string{setting, "127.0.0.1:1", "no server listens there"}},
		"no socket":       {env: []string{"RUNNERBEAN_LEDGER=postgres://me:" + secret + "@/me?host=" + t.TempDir()}, want: []string{setting, "no server listens there"}},
		"host":            {env: []string{"RUNNERBEAN_LEDGER=postgres://me:" + secret + "@no-such-host.invalid/me"}, want: []string{setting, "no-such-host.invalid", "name of the host"}},
		"silence":         {env: []string{"RUNNERBEAN_LEDGER=postgres://me:" + secret + "@" + silent.Addr().String() + "/me?connect_timeout=1"}, want: []string{setting, silent.Addr().String(), "does not answer in time"}},
		"no TLS":          {env: at("me", "me", "sslmode=require"), want: []string{setting, "has no TLS", "sslmode"}},
		"sslmode":         {env: at("me", "me", "sslmode="+secret), want: []string{setting, "sslmode", "verify-full"}},
		"sslrootcert":     {env: at("me", "me", "sslmode=verify-full&sslrootcert=/absent"), want: []string{setting, "sslrootcert", "no such file"}},
		"attributes":      {env: at("me", "me", "target_session_attrs="+secret), want: []string{setting, "target_session_attrs"}},
		"slash":           {env: []string{"RUNNERBEAN_LEDGER=postgres://me:" + secret + "/x@127.0.0.1/me"}, want: []string{setting, "not a connection URL", "%2F"}},
		"port":            {env: []string{"RUNNERBEAN_LEDGER=postgres://me:" + secret + "@127.0.0.1:x/me"}, want: []string{setting, "not a connection URL"}},
		"percent":         {env: []string{"RUNNERBEAN_LEDGER=postgres://me:%" + secret + "@127.0.0.1/me"}, want: []string{setting, "not a connection URL", "in hexadecimal"}},
		"words":           {env: []string{"RUNNERBEAN_LEDGER=password=" + secret + " host=127.0.0.1"}, want: []string{setting, "postgres://USER@HOST/DATABASE"}},
		"another scheme":  {env: []string{"RUNNERBEAN_LEDGER=mysql://me:" + secret + "@127.0.0.1/me"}, want: []string{setting, `"mysql"`, "postgres://"}},
		"password in it":  {env: at("me", "absent", "password="+secret+"&sslpassword="+secret), want: []string{setting, "create the database"}},
		"number and hash": {env: []string{"RUNNERBEAN_LEDGER=postgres://me:12345#" + secret + "@127.0.0.1:1/me"}, want: []string{setting, "no server listens there"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r.check(t, beanstalkd)
		})
	}
}

// newerLedger makes a ledger, and sets its schema to one that no program knows.
func newerLedger(t *testing.T, s *postgrestest.Server, setting string) error {
	t.Helper()
	_, dsn, _ := strings.Cut(setting, "=")
	l, err := ledger.Open(t.Context(), ledger.Config{DSN: dsn})
	if err != nil {
		return err
	}
	if err := l.Close(); err != nil {
		return err
	}
	return s.ExecIn("newer", "UPDATE schema_version SET version = 999")
}

// ledgerOfAStore makes a ledger that has a store.
func ledgerOfAStore(t *testing.T, setting string) error {
	t.Helper()
	_, dsn, _ := strings.Cut(setting, "=")
	l, err := ledger.Open(t.Context(), ledger.Config{DSN: dsn})
	if err != nil {
		return err
	}
	if _, err := l.Pairing.Claim(t.Context(), "storeofpool"); err != nil {
		return err
	}
	return l.Close()
}

// TestPoolCertificateOfTheDatabase has a server with a certificate that is not trusted, for another
// host, or no longer valid; and one that is well.
func TestPoolCertificateOfTheDatabase(t *testing.T) {
	t.Parallel()
	own, other := newAuthority(t), newAuthority(t)
	roots := filepath.Join(t.TempDir(), "roots.pem")
	write(t, roots, own.PEM)
	beanstalkd := queuetest.Start(t).Addr
	for name, test := range map[string]struct {
		by    *authority
		host  string
		until time.Duration
		want  string
	}{
		"well":      {own, "127.0.0.1", time.Hour, ""},
		"untrusted": {other, "127.0.0.1", time.Hour, "not trusted"},
		"host":      {own, "db.example", time.Hour, "for another host"},
		"expired":   {own, "127.0.0.1", -time.Hour, "has expired"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := postgrestest.StartTCP()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(s.Stop)
			cert, key := test.by.issue(t, test.host, time.Now().Add(test.until))
			for name, text := range map[string]string{"server.crt": cert, "server.key": key} {
				if _, err := s.Write(name, text); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.Exec("ALTER SYSTEM SET ssl = on"); err != nil {
				t.Fatal(err)
			}
			s.Crash()
			if err := s.Run(); err != nil {
				t.Fatal(err)
			}
			dsn := fmt.Sprintf("postgres://postgres:%s@127.0.0.1:%d/postgres?sslmode=verify-full&sslrootcert=%s", secret, s.Port, url.QueryEscape(roots))
			if test.want == "" {
				l, err := ledger.Open(t.Context(), ledger.Config{DSN: dsn})
				if err != nil {
					t.Fatal(err)
				}
				_ = l.Close()
				return
			}
			refusal{env: []string{"RUNNERBEAN_LEDGER=" + dsn}, want: []string{"RUNNERBEAN_LEDGER", "certificate", test.want}}.check(t, beanstalkd)
		})
	}
}
