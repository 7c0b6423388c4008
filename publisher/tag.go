package publisher

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"
)

// A tag of the API has two parts: when what may be changed was changed last,
// which If-Match asks about, and a digest of the whole answer, which
// If-None-Match asks about. So a job's progress is news, but does not make a
// request fail that was sent for the state that the person saw.

// tagOf is the strong tag of an answer.
func tagOf(changed time.Time, body []byte) string {
	sum := sha256.Sum256(body)
	return `"` + changePart(changed) + "-" + hex.EncodeToString(sum[:10]) + `"`
}

func changePart(changed time.Time) string {
	if changed.IsZero() {
		return "0"
	}
	return strconv.FormatInt(changed.UnixMicro(), 36)
}

// sendTagged answers with v under its tag, or says that the client has it. What
// is hashed may leave out what always differs.
func sendTagged(c echo.Context, changed time.Time, v, hashed any) error {
	body, err := marshal(v)
	if err != nil {
		return err
	}
	stable, err := marshal(hashed)
	if err != nil {
		return err
	}
	tag, h := tagOf(changed, stable), c.Response().Header()
	h.Set("ETag", tag)
	h.Set("Cache-Control", "private, no-cache")
	if matches(header(c.Request().Header, "If-None-Match"), tag) {
		return c.NoContent(http.StatusNotModified)
	}
	return c.Blob(http.StatusOK, typeJSON, body)
}
