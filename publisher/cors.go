package publisher

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

const (
	exposed       = "ETag, Last-Modified, Retry-After, Location, Preference-Applied, Idempotency-Replayed, Accept-Ranges, Content-Range, Content-Disposition, Allow, Log-Attempt, Log-Position, Log-Total"
	readRequests  = "Accept, Cache-Control, If-Modified-Since, If-None-Match, If-Range, Last-Event-ID, Prefer, Range"
	writeRequests = readRequests + ", Authorization, Content-Type, Idempotency-Key, If-Match"
	// preflightAge is for how many seconds a browser need not ask again.
	preflightAge = "7200"
	// maxAsked bounds, in bytes, the list of fields that a preflight may ask for.
	maxAsked = 2 << 10
)

var (
	anyOrigin   = []string{"*"}
	exposedList = []string{exposed}
)

// cors lists the origins whose pages may use the API, each with a token of its
// own: no answer ever allows credentials. What everybody may read, pages of
// every origin may read, listed or not.
type cors struct {
	origins []string // exact
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

// varyOf names the request fields that the answer of a result's URL depends on.
func (p *Publisher) varyOf(r *http.Request) []string {
	if httpio.Preferred(httpio.Field(r.Header, "Accept")) == httpio.PreferJSON {
		return p.vary
	}
	return p.varyOpen
}

// setVary makes the values of varyOf. Of a signed result an origin that is listed
// may read more than others.
func (p *Publisher) setVary() {
	fields := "Accept-Encoding, Accept"
	if !p.openResults() && len(p.cors.origins) > 0 {
		fields += ", Origin"
	}
	p.vary, p.varyOpen = []string{fields}, []string{fields + ", User-Agent"}
}

// vary names the request fields that an answer of the API depends on, beside others.
func (c cors) vary(fields string) string {
	if len(c.origins) == 0 {
		return fields
	}
	return strings.TrimPrefix(fields+", Origin", ", ")
}

// allowAny lets pages of every origin read what everybody may read.
func allowAny(h http.Header, r *http.Request) {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		h["Access-Control-Allow-Origin"], h["Access-Control-Expose-Headers"] = anyOrigin, exposedList
	}
}

// allowListed lets pages of the listed origins read the answer.
func (c cors) allowListed(h http.Header, r *http.Request) {
	if len(c.origins) == 0 {
		return
	}
	h["Vary"] = []string{"Origin"}
	if origin := r.Header.Get("Origin"); slices.Contains(c.origins, origin) {
		h["Access-Control-Allow-Origin"], h["Access-Control-Expose-Headers"] = []string{origin}, exposedList
	}
}

// preflight answers a browser that asks whether a page may send a request. The
// page may send whatever fields it likes: none of them opens what is closed.
func (p *Publisher) preflight(w http.ResponseWriter, r *http.Request) bool {
	method := r.Header.Get("Access-Control-Request-Method")
	if r.Method != http.MethodOptions || method == "" {
		return false
	}
	h, origin := w.Header(), r.Header.Get("Origin")
	h.Set("Vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers")
	switch {
	case (method == http.MethodGet || method == http.MethodHead) && p.isPublic(r, method):
		permit(h, r, "*", "GET, HEAD", readRequests)
	case slices.Contains(p.cors.origins, origin):
		permit(h, r, origin, "GET, HEAD, POST, PATCH, DELETE", writeRequests)
	}
	w.WriteHeader(http.StatusNoContent)
	return true
}

// permit lets a page send a request with the fields that it asks for, beside the
// usual ones.
func permit(h http.Header, r *http.Request, origin, methods, fields string) {
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Allow-Methods", methods)
	h.Set("Access-Control-Allow-Headers", fields+askedFields(httpio.Field(r.Header, "Access-Control-Request-Headers"), fields))
	h.Set("Access-Control-Max-Age", preflightAge)
}

// askedFields are those of a list that are not among the known, to go on with
// behind them. What is no name of a field is left out.
func askedFields(list, known string) string {
	if len(list) > maxAsked {
		return ""
	}
	var more strings.Builder
	for name := range strings.SplitSeq(list, ",") {
		name = strings.TrimSpace(name)
		if isFieldName(name) && !namesField(known, name) && !namesField(more.String(), name) {
			more.WriteString(", " + name)
		}
	}
	return more.String()
}

// isFieldName reports whether a name is a token of RFC 9110.
func isFieldName(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("!#$%&'*+-.^_`|~", c))
	})
}

// namesField reports whether a list of fields has a name.
func namesField(list, name string) bool {
	for item := range strings.SplitSeq(list, ",") {
		if strings.EqualFold(strings.TrimSpace(item), name) {
			return true
		}
	}
	return false
}

// isPublic reports whether a path is one that everybody may read, or whoever has
// the URL.
func (p *Publisher) isPublic(r *http.Request, method string) bool {
	c := p.echo.AcquireContext()
	defer p.echo.ReleaseContext(c)
	p.echo.Router().Find(method, echo.GetPath(r), c)
	level := p.levels[c.Path()]
	return level == anyone || level == holder
}
