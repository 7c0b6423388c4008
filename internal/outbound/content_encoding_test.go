package outbound

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

// encode codes text; "raw" is deflate without its frame.
func encode(t testing.TB, coding string, text []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	var err error
	switch coding {
	case "gzip":
		w = gzip.NewWriter(&b)
	case "deflate":
		w = zlib.NewWriter(&b)
	case "raw":
		w, err = flate.NewWriter(&b, 6)
	case "zstd":
		w, err = zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1))
	}
	if err == nil {
		_, err = w.Write(text)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// answering serves a body with fields, name and value in turn.
func answering(t *testing.T, body []byte, fields ...string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Accept-Encoding"); got != "identity" {
			t.Errorf("asked for %q", got)
		}
		w.Header().Set("Content-Type", "application/json")
		for i := 0; i < len(fields); i += 2 {
			if i == 0 || fields[i] != fields[i-2] {
				w.Header().Del(fields[i])
			}
			w.Header().Add(fields[i], fields[i+1])
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.Write(body)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func fetchAll(t *testing.T, url string) (string, error) {
	t.Helper()
	client := NewClient(loopback)
	t.Cleanup(client.CloseIdleConnections)
	answer, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return string(text), err
}

func TestContentEncoding(t *testing.T) {
	t.Parallel()
	text := []byte(`{"n":` + strings.Repeat("1", 100_000) + "}")
	gz, df, raw, zs := encode(t, "gzip", text), encode(t, "deflate", text), encode(t, "raw", text), encode(t, "zstd", text)
	const ce, ct = "Content-Encoding", "Content-Type"
	for name, test := range map[string]struct {
		body   []byte
		fields []string
		want   []byte
	}{
		"none":             {text, nil, text},
		"gzip":             {gz, []string{ce, "gzip"}, text},
		"x-gzip":           {gz, []string{ce, "X-GZip"}, text},
		"two members":      {append(bytes.Clone(gz), gz...), []string{ce, "gzip"}, append(bytes.Clone(text), text...)},
		"deflate":          {df, []string{ce, "deflate"}, text},
		"raw deflate":      {raw, []string{ce, "deflate"}, text},
		"zstd":             {zs, []string{ce, "zstd"}, text},
		"two frames":       {append(bytes.Clone(zs), zs...), []string{ce, "zstd"}, append(bytes.Clone(text), text...)},
		"stacked":          {encode(t, "zstd", gz), []string{ce, "gzip", ce, "zstd"}, text},
		"not one":          {text, []string{ce, "utf-8"}, text},
		"of an uploader":   {gz, []string{ce, "gzip,aws-chunked"}, text},
		"identity":         {text, []string{ce, "identity"}, text},
		"nothing":          {nil, []string{ce, "gzip"}, nil},
		"a file of gzip":   {gz, []string{ct, "application/gzip"}, gz},
		"the same, twice":  {gz, []string{ct, "application/x-gzip", ce, "x-gzip"}, gz},
		"a file of zstd":   {zs, []string{ct, "application/zstd", ce, "zstd"}, zs},
		"a file in gzip":   {encode(t, "gzip", zs), []string{ct, "application/zstd", ce, "gzip"}, zs},
		"empty, but coded": {encode(t, "gzip", nil), []string{ce, "gzip"}, nil},
	} {
		got, err := fetchAll(t, answering(t, test.body, test.fields...))
		if err != nil || got != string(test.want) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
}

func TestBadContentEncoding(t *testing.T) {
	t.Parallel()
	text := bytes.Repeat([]byte("0123456789"), 10_000)
	const ce = "Content-Encoding"
	for _, coding := range []string{"gzip", "deflate", "raw", "zstd"} {
		good := encode(t, coding, text)
		name := strings.Replace(coding, "raw", "deflate", 1)
		for what, body := range map[string][]byte{
			"cut":      good[:len(good)-5],
			"head":     good[:3],
			"one byte": good[:1],
			"garbage":  append(bytes.Clone(good), "garbage"...),
			"a byte":   append(bytes.Clone(good), 'x'),
			"plain":    []byte(`{"n":1}`),
			"broken":   append(append(bytes.Clone(good[:len(good)/2]), "xyzxyz"...), good[len(good)/2:]...),
		} {
			_, err := fetchAll(t, answering(t, body, ce, name))
			if err == nil || Transient(err) || !strings.Contains(err.Error(), "Content-Encoding") || !strings.Contains(err.Error(), name) {
				t.Errorf("%s, %s: %v", coding, what, err)
			}
		}
	}
	for coding, want := range map[string]string{"br": `"br"`, "gzip, compress": `"compress"`, "gzip,gzip,gzip": "more than 2"} {
		_, err := fetchAll(t, answering(t, text, ce, coding))
		if err == nil || Transient(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", coding, err)
		}
	}
}

// TestBrokenConnectionIsNoBrokenCoding: what has come so far may come in full next time.
func TestBrokenConnectionIsNoBrokenCoding(t *testing.T) {
	t.Parallel()
	for _, coding := range []string{"gzip", "deflate", "raw", "zstd"} {
		body := encode(t, coding, bytes.Repeat([]byte("0123456789"), 10_000))
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", strings.Replace(coding, "raw", "deflate", 1))
			w.Header().Set("Content-Length", strconv.Itoa(len(body)))
			w.Write(body[:len(body)-2])
			panic(http.ErrAbortHandler)
		}))
		t.Cleanup(server.Close)
		if _, err := fetchAll(t, server.URL); err == nil || !Transient(err) {
			t.Errorf("%s: %v", coding, err)
		}
	}
}

// TestEndlessCodingEnds: a decoder that is given nothing but empty parts by another one
// reads until the context ends, without having given anything.
func TestEndlessCodingEnds(t *testing.T) {
	t.Parallel()
	for coding, empty := range map[string][]byte{
		"gzip": encode(t, "gzip", nil), "zstd": encode(t, "zstd", []byte{}),
		"deflate": {0, 0, 0, 0xff, 0xff}, // a stored block that is not the last one
	} {
		ctx, cancel := context.WithCancel(t.Context())
		body := &repeated{part: encode(t, "gzip", bytes.Repeat(empty, 10_000)), left: 50, at: 40, call: cancel}
		answer := &http.Response{Header: http.Header{"Content-Encoding": {coding + ", gzip"}}, Body: io.NopCloser(body), ContentLength: -1}
		if err := decode(ctx, answer); err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, answer.Body)
		if n != 0 || !errors.Is(err, context.Canceled) || body.left == 0 {
			t.Errorf("%s: %d bytes, %v; %d parts are left", coding, n, err, body.left)
		}
	}
}

// repeated reads a part again and again. It does not know of the context.
type repeated struct {
	part     []byte
	rest     []byte
	left, at int // parts that are left, and with how many left call is called
	call     func()
}

func (r *repeated) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		if r.left == 0 {
			return 0, io.EOF
		}
		if r.left--; r.left == r.at {
			r.call()
		}
		r.rest = r.part
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// FuzzDecode: whatever comes, reading it ends, takes bounded memory and panics never.
func FuzzDecode(f *testing.F) {
	text := []byte(strings.Repeat(`{"a":1}`, 100))
	for name, coding := range map[string]string{"gzip": "gzip", "deflate": "deflate", "raw": "deflate", "zstd": "zstd"} {
		body := encode(f, name, text)
		f.Add(coding, body)
		f.Add(coding+", gzip", body)
		f.Add(coding, append(bytes.Clone(body), body...))
		f.Add(coding, body[:len(body)-3])
	}
	f.Add("utf-8,,x-gzip", []byte{0x1f, 0x8b})
	f.Fuzz(func(t *testing.T, coding string, body []byte) {
		answer := &http.Response{Header: http.Header{"Content-Encoding": {coding}}, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: -1}
		if err := decode(t.Context(), answer); err != nil {
			return
		}
		n, err := io.Copy(io.Discard, io.LimitReader(answer.Body, 4<<20))
		if err == nil && !answer.Uncompressed && n != int64(len(body)) {
			t.Errorf("%d of %d bytes", n, len(body))
		}
		if err != nil && Transient(err) {
			t.Errorf("%v would pass", err)
		}
		answer.Body.Close()
		if _, err := answer.Body.Read(make([]byte, 1)); answer.Uncompressed && err == nil {
			t.Error("it can be read when it is closed")
		}
	})
}
