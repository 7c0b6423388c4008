package publisher

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"

	"github.com/labstack/echo/v4"
)

// readForm reads what a form of a page has posted, of at most limit bytes.
func readForm(c echo.Context, limit int64) (url.Values, error) {
	r := c.Request()
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, problem(http.StatusUnsupportedMediaType, "this takes what a form of a page posts")
	}
	body, err := io.ReadAll(http.MaxBytesReader(c.Response().Writer, r.Body, limit))
	var size *http.MaxBytesError
	if errors.As(err, &size) {
		return nil, tooLarge(limit)
	}
	if err != nil {
		return nil, problem(http.StatusBadRequest, "the body did not arrive whole and in time")
	}
	posted, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, problem(http.StatusBadRequest, "the body is not what a form posts")
	}
	return posted, nil
}

// sendDashboard answers with a page of the dashboard that is for this reader at
// this moment only.
func sendDashboard(c echo.Context, status int, name string, view any) error {
	var page bytes.Buffer
	if err := templates.ExecuteTemplate(&page, name, view); err != nil {
		return err
	}
	h := c.Response().Header()
	h.Set("Cache-Control", noStore)
	h.Set("Content-Security-Policy", dashboardPolicy)
	h.Set("Referrer-Policy", "same-origin")
	return c.Blob(status, typeHTML, page.Bytes())
}
