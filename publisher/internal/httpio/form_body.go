package httpio

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"

	"github.com/labstack/echo/v4"
)

// ReadForm reads the form that a page has posted, of at most limit bytes. Its errors are
// problems.
func ReadForm(c echo.Context, limit int64) (url.Values, error) {
	r := c.Request()
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, Problem(http.StatusUnsupportedMediaType, "this takes what a form of a page posts")
	}
	body, err := io.ReadAll(http.MaxBytesReader(c.Response().Writer, r.Body, limit))
	var size *http.MaxBytesError
	if errors.As(err, &size) {
		return nil, tooLarge(limit)
	}
	if err != nil {
		return nil, Problem(http.StatusBadRequest, "the body did not arrive whole and in time")
	}
	posted, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, Problem(http.StatusBadRequest, "the body is not what a form posts")
	}
	return posted, nil
}
