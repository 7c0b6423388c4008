package httpio

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
)

// A tag of the API has two parts: when what may be changed was changed last,
// which If-Match asks about, and a digest of the whole answer, which
// If-None-Match asks about. So a job's progress is news, but does not make a
// request fail that was sent for the state that the person saw.

// TagOf is the strong tag of an answer.
func TagOf(part string, body []byte) string {
	sum := sha256.Sum256(body)
	return `"` + part + "-" + hex.EncodeToString(sum[:10]) + `"`
}

func Version(changed time.Time) string {
	if changed.IsZero() {
		return "0"
	}
	return strconv.FormatInt(changed.UnixMicro(), 36)
}

// SendTagged answers with v under its tag, or says that the client has it. What
// is hashed may leave out what always differs.
func SendTagged(c echo.Context, part string, v, hashed any) error {
	body, err := Marshal(v)
	if err != nil {
		return err
	}
	stable, err := Marshal(hashed)
	if err != nil {
		return err
	}
	tag, h := TagOf(part, stable), c.Response().Header()
	h.Set("ETag", tag)
	h.Set("Cache-Control", "private, no-cache")
	if Matches(Field(c.Request().Header, "If-None-Match"), tag) {
		return c.NoContent(http.StatusNotModified)
	}
	return c.Blob(http.StatusOK, TypeJSON, body)
}

// Precondition is what If-Match asks for.
type Precondition struct {
	given, any bool
	parts      []string
}

// IfMatch reads the If-Match field. A weak tag, and one that this node never
// made, match nothing.
func IfMatch(r *http.Request) Precondition {
	field := strings.TrimSpace(Field(r.Header, "If-Match"))
	p := Precondition{given: field != "", any: field == "*"}
	for field != "" {
		var item string
		item, field, _ = strings.Cut(field, ",")
		tag, ok := strings.CutPrefix(strings.TrimSpace(item), `"`)
		if part, _, found := strings.Cut(tag, "-"); ok && found {
			p.parts = append(p.parts, part)
		}
	}
	return p
}

// Specific reports whether the request names a version.
func (p Precondition) Specific() bool { return p.given && !p.any }

// Holds reports whether what stands now is what was asked for.
func (p Precondition) Holds(part string) bool {
	return !p.given || p.any || slices.Contains(p.parts, part)
}
