package httpio

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"
)

const (
	// minGzip is the size in bytes of the smallest body that is compressed.
	minGzip = 256
)

// CachedResponse is content in memory that does not change. It prepares its header
// values once.
type CachedResponse struct {
	plain, gzip form // gzip.body is nil where compressing saves too little
	modified    time.Time

	contentType, cacheControl, lastModified, vary []string
}

// form is one encoding of the content.
type form struct {
	body         []byte
	etag, length []string
}

// NewCachedResponse compresses body, unless that saves too little. vary is the Vary
// field that Serve adds; the handler sets the field itself where vary is empty.
func NewCachedResponse(body []byte, modified time.Time, contentType, cacheControl, vary string) *CachedResponse {
	sum := sha256.Sum256(body)
	tag := hex.EncodeToString(sum[:16])
	b := &CachedResponse{
		plain:    newForm(body, `"`+tag+`"`),
		modified: modified, contentType: []string{contentType}, cacheControl: []string{cacheControl},
		lastModified: []string{modified.UTC().Format(http.TimeFormat)},
	}
	if vary != "" {
		b.vary = []string{vary}
	}
	if packed := compress(body); packed != nil {
		b.gzip = newForm(packed, `"`+tag+`-gz"`)
	}
	return b
}

func newForm(body []byte, etag string) form {
	return form{body: body, etag: []string{etag}, length: []string{strconv.Itoa(len(body))}}
}

// packers are kept, since a compressor takes a megabyte.
var packers = sync.Pool{New: func() any { return gzip.NewWriter(nil) }}

// compress returns nil where gzip saves less than an eighth.
func compress(body []byte) []byte {
	if len(body) < minGzip {
		return nil
	}
	var out bytes.Buffer
	z := packers.Get().(*gzip.Writer)
	defer packers.Put(z)
	z.Reset(&out)
	if _, err := z.Write(body); err != nil {
		return nil
	}
	if err := z.Close(); err != nil || out.Len() > len(body)-len(body)/8 {
		return nil
	}
	return bytes.Clone(out.Bytes())
}

// ETag returns the entity tag of the plain form.
func (b *CachedResponse) ETag() string { return b.plain.etag[0] }

// GzipETag returns the entity tag of the compressed form, or "" without one.
func (b *CachedResponse) GzipETag() string {
	if b.gzip.body == nil {
		return ""
	}
	return b.gzip.etag[0]
}

// Body returns the plain form. The caller must not change it.
func (b *CachedResponse) Body() []byte { return b.plain.body }

// Size returns about how much memory b takes, in bytes.
func (b *CachedResponse) Size() int64 { return int64(len(b.plain.body)+len(b.gzip.body)) + 4096 }

// Serve answers a GET or HEAD.
func (b *CachedResponse) Serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h["Cache-Control"], h["Last-Modified"] = b.cacheControl, b.lastModified
	switch {
	case b.vary == nil:
	case h["Vary"] == nil:
		h["Vary"] = b.vary
	default:
		h["Vary"] = append(h["Vary"], b.vary...)
	}
	if NeedsServeContent(r.Header) {
		b.serveContent(w, r)
		return
	}
	if etag := b.fresh(r.Header); etag != nil {
		h["Etag"] = etag
		unchanged(h)
		w.WriteHeader(http.StatusNotModified)
		return
	}
	f := &b.plain
	if b.gzip.body != nil && AcceptsGzip(Field(r.Header, "Accept-Encoding")) {
		f = &b.gzip
		h["Content-Encoding"] = encodingGzip
	}
	h["Etag"], h["Content-Type"], h["Content-Length"] = f.etag, b.contentType, f.length
	h["Accept-Ranges"] = acceptRanges
	if r.Method == http.MethodHead {
		w.WriteHeader(http.StatusOK)
		return
	}
	expectOneWrite(r, len(f.body))
	_, _ = w.Write(f.body) // a client that has gone needs no answer
}

// unchanged removes from a 304 the fields about the content. The client keeps those that
// it got with the content (RFC 9111, section 3.2).
func unchanged(h http.Header) {
	for _, name := range aboutContent {
		delete(h, name)
	}
}

var aboutContent = []string{
	"X-Content-Type-Options", "Referrer-Policy", "Content-Security-Policy", "X-Frame-Options",
	"Cross-Origin-Opener-Policy", "Permissions-Policy",
}

var (
	encodingGzip = []string{"gzip"}
	acceptRanges = []string{"bytes"}
)

// NeedsServeContent reports whether a request has a range or a condition that only
// [http.ServeContent] handles.
func NeedsServeContent(h http.Header) bool {
	return h["Range"] != nil || h["If-Match"] != nil || h["If-Unmodified-Since"] != nil
}

// serveContent serves ranges of the plain form only: a client cannot resume with a part
// of a compressed body.
func (b *CachedResponse) serveContent(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h["Etag"], h["Content-Type"] = b.plain.etag, b.contentType
	http.ServeContent(w, r, "", b.modified, bytes.NewReader(b.plain.body))
}

// fresh returns the tag of the form that the client has, or nil.
func (b *CachedResponse) fresh(h http.Header) []string {
	if lines := h["If-None-Match"]; lines != nil {
		list := Field(h, "If-None-Match")
		if Matches(list, b.plain.etag[0]) {
			return b.plain.etag
		}
		if b.gzip.body != nil && Matches(list, b.gzip.etag[0]) {
			return b.gzip.etag
		}
		return nil
	}
	if since := h["If-Modified-Since"]; since != nil && !ModifiedSince(b.modified, b.lastModified[0], since[0]) {
		return b.plain.etag
	}
	return nil
}
