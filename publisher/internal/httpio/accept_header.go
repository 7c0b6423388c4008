package httpio

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"
) // Field returns all lines of a header field as one list.

func Field(h http.Header, key string) string {
	switch lines := h[key]; len(lines) {
	case 0:
		return ""
	case 1:
		return lines[0]
	default:
		return strings.Join(lines, ",")
	}
}

// Preference is which of a page and JSON an Accept field asks for.
type Preference int

const (
	PreferJSON Preference = iota
	PreferPage
	// NoPreference: both are accepted, so that the answer depends on the client's name.
	NoPreference
)

// Preferred returns what an Accept field asks for. It is JSON where the field is empty,
// or names JSON and gives no page a higher weight. It is a page where the field accepts
// a page and no JSON.
func Preferred(accept string) Preference {
	switch accept {
	case "", "application/json":
		return PreferJSON
	case "*/*":
		return NoPreference
	}
	page, _ := mediaQuality(accept, "text", "html")
	data, fit := mediaQuality(accept, "application", "json")
	switch {
	case page == 0, page < data, page == data && fit == fitType:
		return PreferJSON
	case data == 0:
		return PreferPage
	}
	return NoPreference
}

// WantsPage reports whether a request is answered with a page.
func WantsPage(r *http.Request) bool {
	return IsForPage(Field(r.Header, "Accept"), r.UserAgent())
}

// IsForPage is WantsPage by the two header fields that it depends on. Browsers name
// XHTML, which libraries do not, or are known by their User-Agent. Java's library gives
// text/html the highest weight, but does not show pages.
func IsForPage(accept, agent string) bool {
	switch Preferred(accept) {
	case PreferJSON:
		return false
	case PreferPage:
		return true
	}
	if isTextBrowser(agent) {
		return true
	}
	if _, fit := mediaQuality(accept, "application", "xhtml+xml"); fit == fitType {
		return !hasPrefixFold(agent, "wget/") // version 2 asks as browsers do
	}
	page, fit := mediaQuality(accept, "text", "html")
	data, _ := mediaQuality(accept, "application", "json")
	return fit == fitType && page > data && hasPrefixFold(agent, "mozilla/") && !strings.Contains(agent, "Java/")
}

// isTextBrowser reports whether a User-Agent field is that of a browser that may ask
// for */*.
func isTextBrowser(agent string) bool {
	for _, name := range [...]string{"lynx/", "w3m/", "links ", "links/", "elinks/", "elinks ", "dillo/", "netsurf/", "edbrowse/", "opera/"} {
		if hasPrefixFold(agent, name) {
			return true
		}
	}
	return false
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// How specifically a media range names a media type.
const (
	fitNone = iota
	fitAny
	fitMain
	fitType
)

// mediaQuality returns the weight, in thousandths, that an Accept field gives a media
// type by its most specific range, and how specific that range is. Of equally specific
// ranges the one with the highest weight counts.
func mediaQuality(accept, main, sub string) (quality, fit int) {
	for accept != "" {
		var item string
		item, accept = cutItem(accept, ',')
		name, q := weighted(item)
		if f := mediaFit(name, main, sub); f > fit || f == fit && f > fitNone && q > quality {
			quality, fit = q, f
		}
	}
	return quality, fit
}

// mediaFit returns how specifically a media range names a media type. A range without
// a subtype stands for all subtypes.
func mediaFit(name, main, sub string) int {
	m, s, _ := strings.Cut(name, "/")
	m, s = strings.TrimSpace(m), strings.TrimSpace(s)
	anySub := s == "*" || s == ""
	switch {
	case strings.EqualFold(m, main) && strings.EqualFold(s, sub):
		return fitType
	case strings.EqualFold(m, main) && anySub:
		return fitMain
	case m == "*" && anySub:
		return fitAny
	}
	return fitNone
}

// AcceptsGzip reports whether an Accept-Encoding field accepts gzip and does not give
// the plain form a higher weight.
func AcceptsGzip(accept string) bool {
	gzip, identity, any := -1, -1, -1
	for accept != "" {
		var item string
		item, accept = cutItem(accept, ',')
		name, q := weighted(item)
		switch {
		case strings.EqualFold(name, "gzip"), strings.EqualFold(name, "x-gzip"):
			gzip = q
		case strings.EqualFold(name, "identity"):
			identity = q
		case name == "*":
			any = q
		}
	}
	if gzip < 0 {
		gzip = any
	}
	return gzip > 0 && gzip >= identity
}

// weighted splits "name;q=0.5" and drops other parameters. q is in thousandths.
func weighted(item string) (name string, q int) {
	name, params := cutItem(item, ';')
	q = 1000
	for params != "" {
		var param string
		param, params = cutItem(params, ';')
		key, value, ok := strings.Cut(param, "=")
		if ok && strings.EqualFold(strings.TrimSpace(key), "q") {
			q = thousandths(strings.Trim(value, " \t\""))
		}
	}
	return strings.TrimSpace(name), q
}

// cutItem cuts s at the first sep outside of quoted strings. A quote that is never
// closed does not count.
func cutItem(s string, sep byte) (item, rest string) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case s[i] == '\\' && quoted:
			i++
		case s[i] == sep && !quoted:
			return s[:i], s[i+1:]
		}
	}
	if quoted {
		item, rest, _ = strings.Cut(s, string(sep))
		return item, rest
	}
	return s, ""
}

// thousandths reads a weight. It takes more digits than RFC 9110 allows, and cuts a
// weight at the bounds. What is no number counts as no weight, which is 1000.
func thousandths(s string) int {
	if strings.HasPrefix(s, "-") {
		return 0
	}
	whole, part, _ := strings.Cut(s, ".")
	if whole+part == "" || strings.Trim(whole+part, "0123456789") != "" || strings.Trim(whole, "0") != "" {
		return 1000
	}
	q, _ := strconv.Atoi((part + "000")[:3])
	if q == 0 && strings.Trim(part, "0") != "" {
		return 1
	}
	return q
}

// WantsStream reports whether a request gives an event stream a higher weight than
// JSON.
func WantsStream(r *http.Request) bool {
	accept := Field(r.Header, "Accept")
	stream, _ := mediaQuality(accept, "text", "event-stream")
	data, _ := mediaQuality(accept, "application", "json")
	return stream > data
}

// WantsHTML reports whether a request for a result asks for a page: by its
// parameter format or else by its headers.
func WantsHTML(c echo.Context) (bool, error) {
	switch c.QueryParam("format") {
	case "":
		return WantsPage(c.Request()), nil
	case "html":
		return true, nil
	case "json":
		return false, nil
	}
	return false, Problem(http.StatusBadRequest, "format is html or json")
}
