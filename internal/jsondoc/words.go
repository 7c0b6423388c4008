package jsondoc

import (
	"fmt"
	"strconv"
	"strings"
)

// maxExcerpt is how many bytes of a document's text a message repeats.
const maxExcerpt = 64

// FieldName returns a pointer in the form files[2].url.
func FieldName(pointer string) string {
	if pointer == "" {
		return "the document"
	}
	var b strings.Builder
	for i, t := range Tokens(pointer) {
		_, err := strconv.ParseUint(t, 10, 31)
		switch {
		case err == nil && i > 0:
			fmt.Fprintf(&b, "[%s]", t)
		case !plain(t):
			fmt.Fprintf(&b, "[%s]", Excerpt(t))
		case i > 0:
			b.WriteString("." + t)
		default:
			b.WriteString(t)
		}
	}
	return b.String()
}

// plain reports whether a name can stand in a message without quotes.
func plain(name string) bool {
	odd := func(r rune) bool { return !(r == '_' || 'a' <= r && r <= 'z' || '0' <= r && r <= '9') }
	return name != "" && len(name) <= maxExcerpt && !strings.ContainsFunc(name, odd)
}

// Excerpt returns a value for a message: short, quoted, without control characters.
func Excerpt(v any) string {
	switch v := v.(type) {
	case string:
		if len(v) > maxExcerpt {
			return strconv.QuoteToGraphic(strings.ToValidUTF8(v[:maxExcerpt], "")) + "…"
		}
		return strconv.QuoteToGraphic(v)
	case int64, float64, bool:
		return fmt.Sprint(v)
	}
	return Kind(v)
}

// ExcerptURL returns a URL for a message without what may be secret: its user, and its
// query and fragment, which may be signatures.
func ExcerptURL(s string) string {
	end := ""
	if i := strings.IndexAny(s, "?#"); i >= 0 {
		s, end = s[:i], s[i:i+1]+"…"
	}
	if i := strings.LastIndexByte(s, '@'); i >= 0 {
		s = "…" + s[i:]
	}
	return Excerpt(s + end)
}

// Kind returns the JSON type of a value with its article.
func Kind(v any) string {
	switch v.(type) {
	case string:
		return "a string"
	case bool:
		return "a boolean"
	case map[string]any:
		return "an object"
	case []any:
		return "an array"
	case nil:
		return "null"
	}
	return "a number"
}

// Count returns a number with its noun.
func Count(n int, thing string) string {
	switch {
	case n == 1:
		return "1 " + thing
	case strings.HasSuffix(thing, "y"):
		thing = strings.TrimSuffix(thing, "y") + "ies"
	default:
		thing += "s"
	}
	return strconv.Itoa(n) + " " + thing
}
