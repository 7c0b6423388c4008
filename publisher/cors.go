package publisher

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

const (
	exposed       = "ETag, Last-Modified, Retry-After, Location, Preference-Applied, Idempotency-Replayed, Accept-Ranges, Content-Range, Content-Disposition, Allow, Log-Attempt, Log-Position, Log-Total"
	readRequests  = "Accept, Cache-Control, If-Modified-Since, If-None-Match, If-Range, Last-Event-ID, Prefer, Range"
	writeRequests = readRequests + ", Authorization, Content-Type, Idempotency-Key, If-Match"
)

var (
	anyOrigin   = []string{"*"}
	exposedList = []string{exposed}
)

// cors says which pages of other origins may read, and which may write.
type cors struct {
	origins []string // exact; empty: all may read and none may write
}

// newCORS checks that origins are origins.
func newCORS(origins []string) (cors, error) {
	for _, o := range origins {
		u, err := url.Parse(o)
		if err != nil || u.Scheme == "" || u.Host == "" || u.Scheme+"://"+u.Host != o || strings.ToLower(o) != o {
			return cors{}, fmt.Errorf("publisher: %q in Config.CORS is no origin such as https://www.example", o)
		}
	}
	return cors{origins: slices.Clone(origins)}, nil
}

func (c cors) reading() bool { return len(c.origins) == 0 }

// vary names the request fields that an answer depends on, beside others.
func (c cors) vary(fields string) string {
	if c.reading() {
		return fields
	}
	return strings.TrimPrefix(fields+", Origin", ", ")
}

// allow lets a page read the answer.
func (c cors) allow(h http.Header, r *http.Request) {
	if c.reading() {
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			h["Access-Control-Allow-Origin"], h["Access-Control-Expose-Headers"] = anyOrigin, exposedList
		}
		return
	}
	h["Vary"] = []string{"Origin"}
	if origin := r.Header.Get("Origin"); slices.Contains(c.origins, origin) {
		h["Access-Control-Allow-Origin"], h["Access-Control-Expose-Headers"] = []string{origin}, exposedList
	}
}

// allowListed lets a page read what is not for everybody, if its origin is one
// of those that were listed for that. No answer ever allows credentials: a
// page elsewhere has to hold a token of its own.
func (c cors) allowListed(h http.Header, r *http.Request) {
	if !c.reading() {
		c.allow(h, r)
	}
}

// preflight answers a browser that asks whether a page may send a request.
func (c cors) preflight(w http.ResponseWriter, r *http.Request) bool {
	method := r.Header.Get("Access-Control-Request-Method")
	if r.Method != http.MethodOptions || method == "" {
		return false
	}
	h := w.Header()
	c.allow(h, r)
	listed := slices.Contains(c.origins, r.Header.Get("Origin"))
	switch {
	case listed:
		h.Set("Access-Control-Allow-Methods", "GET, HEAD, POST, PATCH, DELETE")
		h.Set("Access-Control-Allow-Headers", writeRequests)
		h.Set("Access-Control-Max-Age", "7200")
	case c.reading() && (method == http.MethodGet || method == http.MethodHead):
		h["Access-Control-Allow-Origin"] = anyOrigin
		h.Set("Access-Control-Allow-Methods", "GET, HEAD")
		h.Set("Access-Control-Allow-Headers", readRequests)
		h.Set("Access-Control-Max-Age", "7200")
	}
	w.WriteHeader(http.StatusNoContent)
	return true
}
