//go:build pool

package main

import (
	"crypto/tls"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
	"github.com/runnerbean/runnerbean/internal/store/bucket/buckettest"
)

// TestPoolStoreRefused has faults of an S3 server and of the URL of a bucket. TestRealRefuses of package
// bucket has what a real server says to wrong keys.
func TestPoolStoreRefused(t *testing.T) {
	beanstalkd := queuetest.Start(t).Addr
	denied := func(method string, path string) func(*http.Request) buckettest.Fault {
		return func(r *http.Request) buckettest.Fault {
			if r.Method == method && strings.Contains(r.URL.Path+"?"+r.URL.RawQuery, path) {
				return buckettest.Fault{Status: 403, Code: "AccessDenied"}
			}
			return buckettest.Fault{}
		}
	}
	always := func(status int, code string) func(*http.Request) buckettest.Fault {
		return func(*http.Request) buckettest.Fault { return buckettest.Fault{Status: status, Code: code} }
	}
	const setting = "RUNNERBEAN_STORE"
	for name, test := range map[string]struct {
		refusal
		fault    func(*http.Request) buckettest.Fault
		rules    string
		careless bool
		url      func(string) string
	}{
		"key":          {fault: always(403, "InvalidAccessKeyId"), refusal: refusal{want: []string{setting, "does not know the key", "AWS_ACCESS_KEY_ID"}}},
		"secret":       {fault: always(403, "SignatureDoesNotMatch"), refusal: refusal{want: []string{setting, "AWS_SECRET_ACCESS_KEY"}}},
		"clock":        {fault: always(403, "RequestTimeTooSkewed"), refusal: refusal{want: []string{setting, "differ by more than 15 minutes", "set the clock"}}},
		"list":         {fault: denied("GET", "list-type"), refusal: refusal{want: []string{setting, "no permission", "s3:ListBucket", ": list: "}}},
		"get":          {fault: denied("GET", "/results/pool/"), refusal: refusal{want: []string{setting, "no permission", "s3:GetObject", ": get: "}}},
		"put":          {fault: denied("PUT", ""), refusal: refusal{nodeOnly: true, want: []string{setting, "no permission", "s3:PutObject", ": put: "}}},
		"delete":       {fault: denied("DELETE", ""), refusal: refusal{nodeOnly: true, want: []string{setting, "no permission", "s3:DeleteObject", ": remove: "}}},
		"bucket":       {url: func(u string) string { return strings.Replace(u, buckettest.Name, "absent", 1) }, refusal: refusal{want: []string{setting, "s3://absent/pool", "create it"}}},
		"region":       {fault: always(400, "AuthorizationHeaderMalformed"), refusal: refusal{want: []string{setting, "region", "set endpoint and region"}}},
		"conditions":   {careless: true, refusal: refusal{nodeOnly: true, want: []string{setting, "ignores If-None-Match"}}},
		"rule":         {rules: "<ID>tidy</ID><Status>Enabled</Status><Filter></Filter><Expiration><Days>30</Days></Expiration>", refusal: refusal{want: []string{setting, `"tidy"`, "remove the rule"}}},
		"full":         {fault: full, refusal: refusal{nodeOnly: true, want: []string{setting, "no room"}}},
		"no server":    {url: func(string) string { return "s3://results/pool?endpoint=http://127.0.0.1:1" }, refusal: refusal{want: []string{setting, "does not answer", "check the endpoint"}}},
		"host":         {url: func(string) string { return "s3://results/pool?endpoint=http://no-such-host.invalid" }, refusal: refusal{want: []string{setting, "no-such-host.invalid", "check the endpoint"}}},
		"no TLS":       {url: func(u string) string { return strings.Replace(u, "http://", "https://", 1) }, refusal: refusal{want: []string{setting, "speaks no TLS", "endpoint=http://"}}},
		"name":         {url: func(u string) string { return strings.Replace(u, buckettest.Name, "a", 1) }, refusal: refusal{want: []string{setting, "3 to 63"}}},
		"keys in it":   {url: func(u string) string { return strings.Replace(u, "s3://", "s3://me:"+secret+"@", 1) }, refusal: refusal{want: []string{setting, "holds no keys", "AWS_ACCESS_KEY_ID"}}},
		"keys in that": {url: func(u string) string { return strings.Replace(u, "http://", "http://me:"+secret+"@", 1) }, refusal: refusal{want: []string{setting, "endpoint=https://HOST"}}},
		"keys as one":  {url: func(u string) string { return u + "&secret=" + secret }, refusal: refusal{want: []string{setting, "endpoint and region"}}},
		"no URL":       {url: func(string) string { return "s3://%" + secret }, refusal: refusal{want: []string{setting, "s3://BUCKET/PREFIX"}}},
		"words":        {url: func(string) string { return "key=" + secret }, refusal: refusal{want: []string{setting, "s3://BUCKET/PREFIX"}}},
	} {
		t.Run(name, func(t *testing.T) {
			s := buckettest.Start(t)
			t.Setenv("AWS_SECRET_ACCESS_KEY", secret)
			s.Fault, s.Careless = test.fault, test.careless
			if test.rules != "" {
				s.Rules = "<LifecycleConfiguration><Rule>" + test.rules + "</Rule></LifecycleConfiguration>"
			}
			url := s.URL
			if test.url != nil {
				url = test.url(url)
			}
			test.env = []string{"RUNNERBEAN_STORE=" + url}
			test.check(t, beanstalkd)
		})
	}
}

func full(r *http.Request) buckettest.Fault {
	if r.Method == http.MethodPut {
		return buckettest.Fault{Status: 507, Code: "XMinioStorageFull"}
	}
	return buckettest.Fault{}
}

// TestPoolCertificateOfTheStore has a server of S3 whose certificate is not well. Where it is well, the
// fault is another one.
func TestPoolCertificateOfTheStore(t *testing.T) {
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
		"well":      {own, "127.0.0.1", time.Hour, "there is no such bucket"},
		"untrusted": {other, "127.0.0.1", time.Hour, "is not trusted"},
		"host":      {own, "s3.example", time.Hour, "is not trusted"},
		"expired":   {own, "127.0.0.1", -time.Hour, "has expired"},
	} {
		t.Run(name, func(t *testing.T) {
			inMemory := buckettest.Start(t)
			t.Setenv("AWS_SECRET_ACCESS_KEY", secret)
			server := httptest.NewUnstartedServer(inMemory)
			pair, err := tls.X509KeyPair(pairOf(test.by.issue(t, test.host, time.Now().Add(test.until))))
			if err != nil {
				t.Fatal(err)
			}
			server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
			server.Config.ErrorLog = quiet
			server.StartTLS()
			defer server.Close()
			refusal{
				env:  []string{"SSL_CERT_FILE=" + roots, "SSL_CERT_DIR=" + os.DevNull, "RUNNERBEAN_STORE=s3://absent/pool?endpoint=" + server.URL},
				want: []string{"RUNNERBEAN_STORE", test.want},
			}.check(t, beanstalkd)
		})
	}
}

func pairOf(cert, key string) (certPEM, keyPEM []byte) { return []byte(cert), []byte(key) }

// TestPoolStoreElsewhere has a server that sends requests to another one, which must not get them: they
// are signed, and hold results.
func TestPoolStoreElsewhere(t *testing.T) {
	var came atomic.Int64
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { came.Add(1) }))
	defer elsewhere.Close()
	for _, status := range []int{http.StatusMovedPermanently, http.StatusTemporaryRedirect, http.StatusPermanentRedirect} {
		server := httptest.NewServer(http.RedirectHandler(elsewhere.URL+"/other", status))
		defer server.Close()
		t.Setenv("AWS_ACCESS_KEY_ID", "me")
		t.Setenv("AWS_SECRET_ACCESS_KEY", secret)
		refusal{env: []string{"RUNNERBEAN_STORE=s3://results/pool?endpoint=" + server.URL}, want: []string{"RUNNERBEAN_STORE", "set endpoint and region"}}.check(t, queuetest.Start(t).Addr)
	}
	if n := came.Load(); n > 0 {
		t.Errorf("the other server got %d requests", n)
	}
}

// quiet takes the log of a server of which clients refuse the certificate.
var quiet = log.New(io.Discard, "", 0)
