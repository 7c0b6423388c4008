package jobs

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"github.com/runnerbean/runnerbean/internal/suggest"
)

// Fault is the error of a job document: what is wrong, and where.
type Fault struct {
	// Syntax is true if the text is not JSON (HTTP status 400), and false if the
	// JSON is not a valid job (422).
	Syntax bool
	// Pointer is the JSON pointer (RFC 6901) of the fault; empty means the
	// document as a whole.
	Pointer string
	// Message names the field and what is wanted.
	Message string
	// ID, Program and ResultURL are those of the document, each empty if it is
	// missing or invalid. All are empty if Syntax is true.
	ID, Program, ResultURL string
}

// Error returns the message, followed by the pointer if there is one.
func (f *Fault) Error() string {
	if f.Pointer == "" {
		return "job: " + f.Message
	}
	return "job: " + f.Message + " (at " + f.Pointer + ")"
}

// fault returns the fault of the value at pointer. wants is the rest of a sentence
// that begins with the name of the field.
func fault(pointer, wants string, args ...any) *Fault {
	pointer = bounded(pointer)
	return &Fault{Pointer: pointer, Message: fieldName(pointer) + " " + fmt.Sprintf(wants, args...)}
}

// unknown returns the fault of a member that s does not name.
func unknown(s *jsonschema.Schema, pointer, name string) *Fault {
	msg := fmt.Sprintf("unknown field %s", excerpt(name))
	if in := parent(bounded(pointer)); in != "" {
		msg += " in " + fieldName(in)
	}
	if near := suggest.Nearest(name, s.Properties); near != "" {
		msg += fmt.Sprintf("; did you mean %q?", near)
	}
	return &Fault{Pointer: bounded(pointer), Message: msg}
}

// maxPointer is the length of the longest pointer in a fault, in bytes.
const maxPointer = 512

// bounded returns the pointer or, if it is too long, that of the innermost object
// or array around it whose pointer is short enough.
func bounded(pointer string) string {
	for len(pointer) > maxPointer {
		pointer = parent(pointer)
	}
	return pointer
}

// parent returns the pointer of the object or array that holds the value.
func parent(pointer string) string {
	return pointer[:max(0, strings.LastIndexByte(pointer, '/'))]
}

// pointerTokens splits a JSON pointer into its unescaped parts.
func pointerTokens(pointer string) []string {
	if pointer == "" {
		return nil
	}
	parts := strings.Split(pointer[1:], "/")
	for i, p := range parts {
		parts[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(p)
	}
	return parts
}

// fieldName returns a JSON pointer in the form files[2].url.
func fieldName(pointer string) string {
	if pointer == "" {
		return "the document"
	}
	var b strings.Builder
	for i, t := range pointerTokens(pointer) {
		_, err := strconv.ParseUint(t, 10, 31)
		switch {
		case err == nil && i > 0:
			fmt.Fprintf(&b, "[%s]", t)
		case !plain(t):
			fmt.Fprintf(&b, "[%s]", excerpt(t))
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

// maxExcerpt is how many bytes of a document's text a message repeats.
const maxExcerpt = 64

// excerpt returns a value for a message: short, quoted, without control characters.
func excerpt(v any) string {
	switch v := v.(type) {
	case string:
		if len(v) > maxExcerpt {
			return strconv.QuoteToGraphic(strings.ToValidUTF8(v[:maxExcerpt], "")) + "…"
		}
		return strconv.QuoteToGraphic(v)
	case int64, float64, bool:
		return fmt.Sprint(v)
	}
	return kind(v)
}

// kind returns the JSON type of a value with its article.
func kind(v any) string {
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
