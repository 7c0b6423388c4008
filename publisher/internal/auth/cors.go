package auth

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

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

// checkOrigins reports an entry of Config.CORS that is no origin. Pages of these
// origins may use the API with a token of their own: no answer allows credentials.
// Pages of every origin may read what everybody may read.
func checkOrigins(origins []string) error {
	for _, o := range origins {
		u, err := url.Parse(o)
		if err != nil || u.Scheme == "" || u.Host == "" || u.Scheme+"://"+u.Host != o || strings.ToLower(o) != o {
			return fmt.Errorf("%q in Config.CORS is no origin such as https://www.example", o)
		}
	}
	return nil
}

// ResultVary returns the Vary field of a result's URL. The caller must not change it.
func (a *Auth) ResultVary(r *http.Request) []string {
	if httpio.Preferred(httpio.Field(r.Header, "Accept")) == httpio.PreferJSON {
		return a.vary
	}
	return a.varyOpen
}

// setVary prepares the values of ResultVary. A listed origin may read more of a
// signed result than others.
func (a *Auth) setVary() {
	fields := "Accept-Encoding, Accept"
	if !a.OpenResults() && len(a.cfg.CORS) > 0 {
		fields += ", Origin"
	}
	a.vary, a.varyOpen = []string{fields}, []string{fields + ", User-Agent"}
}

// Vary returns the Vary field of an answer of the API that also depends on fields.
func (a *Auth) Vary(fields string) string {
	if len(a.cfg.CORS) == 0 {
		return fields
	}
	return strings.TrimPrefix(fields+", Origin", ", ")
}

// AllowAnyOrigin lets pages of every origin read the answer.
func AllowAnyOrigin(h http.Header, r *http.Request) {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		h["Access-Control-Allow-Origin"], h["Access-Control-Expose-Headers"] = anyOrigin, exposedList
	}
}

// allowListedOrigin lets pages of the listed origins read the answer.
func (a *Auth) allowListedOrigin(h http.Header, r *http.Request) {
	if len(a.cfg.CORS) == 0 {
		return
	}
	h["Vary"] = []string{"Origin"}
	if origin := r.Header.Get("Origin"); slices.Contains(a.cfg.CORS, origin) {
		h["Access-Control-Allow-Origin"], h["Access-Control-Expose-Headers"] = []string{origin}, exposedList
	}
}

// Preflight answers a browser that asks whether a page may send a request, and
// reports whether r was such a question. levelOf returns the level of the route to
// the path of r with a method. A page may send any fields: none of them gives access.
func (a *Auth) Preflight(w http.ResponseWriter, r *http.Request, levelOf func(r *http.Request, method string) Level) bool {
	method := r.Header.Get("Access-Control-Request-Method")
	if r.Method != http.MethodOptions || method == "" {
		return false
	}
	isPublic := func() bool {
		level := levelOf(r, method)
		return level == Anyone || level == Holder
	}
	h, origin := w.Header(), r.Header.Get("Origin")
	h.Set("Vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers")
	switch {
	case (method == http.MethodGet || method == http.MethodHead) && isPublic():
		permit(h, r, "*", "GET, HEAD", readRequests)
	case slices.Contains(a.cfg.CORS, origin):
		permit(h, r, origin, "GET, HEAD, POST, PATCH, DELETE", writeRequests)
	}
	w.WriteHeader(http.StatusNoContent)
	return true
}

// permit lets a page send a request with the usual fields and those that it asks
// for.
func permit(h http.Header, r *http.Request, origin, methods, fields string) {
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Allow-Methods", methods)
	h.Set("Access-Control-Allow-Headers", fields+askedFields(httpio.Field(r.Header, "Access-Control-Request-Headers"), fields))
	h.Set("Access-Control-Max-Age", preflightAge)
}

// askedFields returns the fields of a list that are not known, each after ", ". It
// leaves out what is no name of a field.
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
