package fastpath

import (
	"bufio"
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/runnerbean/runnerbean/jobs"
)

const (
	anID = "019343a0-0000-7000-8000-000000000001"
	line = "GET /" + anID + " HTTP/1.1\r\n"
	host = "Host: x.example:8420\r\n"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for head, want := range map[string]string{
		line + host + "\r\n": "|||",
		line + "host:x\r\nUser-Agent: curl/8 (a; b)\r\nCookie: a=b\r\nX-Forwarded-For: ::1\r\n\r\n":                     "|||curl/8 (a; b)",
		line + host + "Accept: */*\r\nACCEPT-ENCODING:  gzip, br \r\nIf-None-Match: \"x\"\r\nOrigin: https://a\r\n\r\n": `*/*|gzip, br|"x"|`,
		line + host + "Connection: Keep-Alive\r\nKeep-Alive: timeout=5\r\n\r\n":                                         "|||",
	} {
		var r Request
		if !Parse([]byte(head), &r) || string(r.ID) != anID {
			t.Errorf("%q is not taken", head)
		}
		got := strings.Join([]string{string(r.Accept), string(r.AcceptEncoding), string(r.IfNoneMatch), string(r.UserAgent)}, "|")
		if got != want {
			t.Errorf("%q: %s, want %s", head, got, want)
		}
	}
}

func TestParseLeavesAllElseToNetHTTP(t *testing.T) {
	t.Parallel()
	for _, head := range []string{
		"", "GET", line, line + "\r\n", line + host, line + host + "\r", line + host + "\r\n\r\n", line + host + "\r\n" + line + host + "\r\n",
		strings.Replace(line, "GET", "HEAD", 1) + host + "\r\n",
		strings.Replace(line, "GET", "get", 1) + host + "\r\n",
		strings.Replace(line, "1.1", "1.0", 1) + host + "\r\n",
		strings.Replace(line, "/", "//", 1) + host + "\r\n",
		strings.Replace(line, anID, anID+"?x=y", 1) + host + "\r\n",
		strings.Replace(line, anID, "results/"+anID, 1) + host + "\r\n",
		strings.ReplaceAll(line+host+"\r\n", "\r", ""),
		line + host + host + "\r\n", line + "Host:\r\n\r\n", line + "Host: a b\r\n\r\n", line + "Host: a/b\r\n\r\n",
		line + host + "Accept: a\r\nAccept: b\r\n\r\n", line + host + "Accept:\r\n\r\n",
		line + host + " folded: x\r\n\r\n", line + host + "Name : x\r\n\r\n", line + host + ": x\r\n\r\n", line + host + "no colon\r\n\r\n",
		line + host + "A: \x00\r\n\r\n", line + host + "A: \x7f\r\n\r\n", line + host + "A: é\r\n\r\n", line + host + "A: b\rc\r\n\r\n", line + host + "A: b\nC: d\r\n\r\n",
	} {
		if Parse([]byte(head), new(Request)) {
			t.Errorf("%q is taken", head)
		}
	}
	for _, field := range []string{
		"Content-Length: 0", "Transfer-Encoding: chunked", "Expect: 100-continue", "Upgrade: h2c", "Connection: close", "Connection: keep-alive, te",
		"Range: bytes=0-1", "If-Range: \"x\"", "If-Match: \"x\"", "If-Modified-Since: x", "If-Unmodified-Since: x", "Prefer: wait=1",
		"Authorization: Bearer x", "Trailer: x", "TE: trailers", "HTTP2-Settings: x",
	} {
		for _, field := range []string{field, strings.ToUpper(field)} {
			if Parse([]byte(line+host+field+"\r\n\r\n"), new(Request)) {
				t.Errorf("%s is taken", field)
			}
		}
	}
}

// FuzzParse: what is taken is a request that net/http reads in the same way.
func FuzzParse(f *testing.F) {
	f.Add([]byte(line + host + "Accept: */*\r\nAccept-Encoding: gzip\r\nIf-None-Match: \"x\"\r\nOrigin: null\r\n\r\n"))
	f.Add([]byte(line + host + "Connection: keep-alive\r\nX: y\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var got Request
		if !Parse(b, &got) || !jobs.ValidID(string(got.ID)) { // only those are ever answered for
			return
		}
		in := bufio.NewReader(bytes.NewReader(b))
		r, err := http.ReadRequest(in)
		if err != nil {
			t.Fatalf("net/http does not take it: %v", err)
		}
		if in.Buffered() != 0 || r.ContentLength != 0 || r.Close || r.Method != http.MethodGet || r.Host == "" || r.RequestURI != "/"+string(got.ID) {
			t.Fatalf("%+v", r)
		}
		for name, value := range map[string][]byte{
			"Accept": got.Accept, "Accept-Encoding": got.AcceptEncoding, "If-None-Match": got.IfNoneMatch, "User-Agent": got.UserAgent,
		} {
			lines := r.Header[name]
			if value == nil && lines != nil || value != nil && (len(lines) != 1 || lines[0] != string(value)) {
				t.Fatalf("%s is %q, and %q to net/http", name, value, lines)
			}
		}
	})
}
