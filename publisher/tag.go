package publisher

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

// tagOf is the strong tag of an answer.
func tagOf(part string, body []byte) string {
	sum := sha256.Sum256(body)
	return `"` + part + "-" + hex.EncodeToString(sum[:10]) + `"`
}

func changePart(changed time.Time) string {
	if changed.IsZero() {
		return "0"
	}
	return strconv.FormatInt(changed.UnixMicro(), 36)
}

// sendTagged answers with v under its tag, or says that the client has it. What
// is hashed may leave out what always differs.
func sendTagged(c echo.Context, part string, v, hashed any) error {
	body, err := marshal(v)
	if err != nil {
		return err
	}
	stable, err := marshal(hashed)
	if err != nil {
		return err
	}
	tag, h := tagOf(part, stable), c.Response().Header()
	h.Set("ETag", tag)
	h.Set("Cache-Control", "private, no-cache")
	if matches(header(c.Request().Header, "If-None-Match"), tag) {
		return c.NoContent(http.StatusNotModified)
	}
	return c.Blob(http.StatusOK, typeJSON, body)
}

// precondition is what If-Match asks for.
type precondition struct {
	given, any bool
	parts      []string
}

// ifMatch reads the If-Match field. A weak tag, and one that this node never
// made, match nothing.
func ifMatch(r *http.Request) precondition {
	field := strings.TrimSpace(header(r.Header, "If-Match"))
	p := precondition{given: field != "", any: field == "*"}
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

// holds reports whether what stands now is what was asked for.
func (p precondition) holds(part string) bool {
	return !p.given || p.any || slices.Contains(p.parts, part)
}
