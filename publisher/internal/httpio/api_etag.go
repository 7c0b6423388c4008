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

// An entity tag of the API has two parts. The version stands for what a request can
// change; If-Match compares it. The digest is of the whole answer; If-None-Match
// compares both. So the progress of a job makes a new tag, but a request with the old
// tag still succeeds.

// TagOf returns the strong tag of an answer.
func TagOf(version string, body []byte) string {
	sum := sha256.Sum256(body)
	return `"` + version + "-" + hex.EncodeToString(sum[:10]) + `"`
}

// Version returns the version of what was changed last at a time.
func Version(changed time.Time) string {
	if changed.IsZero() {
		return "0"
	}
	return strconv.FormatInt(changed.UnixMicro(), 36)
}

// SendTagged answers with v under its tag, or with 304 where the client has it. hashed
// is v without what differs in every answer.
func SendTagged(c echo.Context, version string, v, hashed any) error {
	body, err := Marshal(v)
	if err != nil {
		return err
	}
	stable, err := Marshal(hashed)
	if err != nil {
		return err
	}
	tag, h := TagOf(version, stable), c.Response().Header()
	h.Set("ETag", tag)
	h.Set("Cache-Control", "private, no-cache")
	if Matches(Field(c.Request().Header, "If-None-Match"), tag) {
		return c.NoContent(http.StatusNotModified)
	}
	return c.Blob(http.StatusOK, TypeJSON, body)
}

// Precondition is what an If-Match field asks for.
type Precondition struct {
	given, any bool
	versions   []string
}

// IfMatch reads the If-Match field of a request. Weak tags, and tags that are not of the
// API, match nothing.
func IfMatch(r *http.Request) Precondition {
	field := strings.TrimSpace(Field(r.Header, "If-Match"))
	p := Precondition{given: field != "", any: field == "*"}
	for field != "" {
		var item string
		item, field, _ = strings.Cut(field, ",")
		tag, ok := strings.CutPrefix(strings.TrimSpace(item), `"`)
		if version, _, found := strings.Cut(tag, "-"); ok && found {
			p.versions = append(p.versions, version)
		}
	}
	return p
}

// Specific reports whether the request names a version.
func (p Precondition) Specific() bool { return p.given && !p.any }

// Holds reports whether the request may be applied to a version.
func (p Precondition) Holds(version string) bool {
	return !p.given || p.any || slices.Contains(p.versions, version)
}
