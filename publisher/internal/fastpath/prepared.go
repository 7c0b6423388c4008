package fastpath

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// The answers that are prepared for a result. There is one of each for Accept fields
// that leave no choice, and one for the others, whose Vary field may differ.
const (
	plainOK = iota
	gzipOK
	plainSame // 304
	gzipSame
	variants
)

// Prepared holds the prepared answers of one cached result. The zero value is ready for
// use.
type Prepared struct {
	answers [2 * variants]atomic.Pointer[Answer]
}

// Answer returns the answer to r for the result with the response. It returns an Answer
// without a head where net/http must answer. serve is how net/http answers; it reports
// whether it did. Answer calls it for the first request of each variant.
func (p *Prepared) Answer(r *Request, response *httpio.CachedResponse, serve func(http.ResponseWriter, *http.Request) bool) Answer {
	open := httpio.Preferred(string(r.Accept)) != httpio.PreferJSON
	if open && httpio.IsForPage(string(r.Accept), string(r.UserAgent)) {
		return Answer{}
	}
	v := variantOf(response, r)
	if v < 0 {
		return Answer{}
	}
	if open {
		v += variants
	}
	if a := p.answers[v].Load(); a != nil {
		return *a
	}
	a, ok := record(string(r.ID), v, response, serve)
	if ok {
		p.answers[v].Store(&a)
	}
	return a
}

// variantOf returns which answer a request gets, or -1 where it names another tag.
func variantOf(response *httpio.CachedResponse, r *Request) int {
	switch {
	case r.IfNoneMatch != nil && string(r.IfNoneMatch) == response.ETag():
		return plainSame
	case len(r.IfNoneMatch) > 0 && string(r.IfNoneMatch) == response.GzipETag():
		return gzipSame
	case r.IfNoneMatch != nil:
		return -1
	case response.GzipETag() != "" && len(r.AcceptEncoding) > 0 && httpio.AcceptsGzip(string(r.AcceptEncoding)):
		return gzipOK
	}
	return plainOK
}

// record returns what serve answers to a request of the variant v.
func record(id string, v int, response *httpio.CachedResponse, serve func(http.ResponseWriter, *http.Request) bool) (Answer, bool) {
	r, err := http.NewRequest(http.MethodGet, "/"+id, nil)
	if err != nil {
		return Answer{}, false
	}
	if v >= variants {
		r.Header.Set("Accept", "*/*")
	}
	switch v % variants {
	case gzipOK:
		r.Header.Set("Accept-Encoding", "gzip")
	case plainSame:
		r.Header.Set("If-None-Match", response.ETag())
	case gzipSame:
		r.Header.Set("If-None-Match", response.GzipETag())
	}
	w := recorder{header: http.Header{}, status: http.StatusOK}
	httpio.SetSecurityHeaders(w.header, r)
	if !serve(&w, r) {
		return Answer{}, false // the cache has just dropped the result
	}
	return Answer{Head: w.head(), Body: w.body}, true
}

// recorder keeps an answer. It does not copy the body, which is written in one call.
type recorder struct {
	header http.Header
	status int
	body   []byte
}

func (w *recorder) Header() http.Header    { return w.header }
func (w *recorder) WriteHeader(status int) { w.status = status }

func (w *recorder) Write(b []byte) (int, error) {
	w.body = b
	return len(b), nil
}

// head returns the head that net/http would send, without the Date field.
func (w *recorder) head() []byte {
	b := fmt.Appendf(nil, "HTTP/1.1 %d %s\r\n", w.status, http.StatusText(w.status))
	names := make([]string, 0, len(w.header))
	for name := range w.header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, value := range w.header[name] {
			b = append(b, name+": "+strings.TrimSpace(value)+"\r\n"...)
		}
	}
	return b
}
