package httpio

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
)

// TypeTar is the media type of a tar.
const TypeTar = "application/x-tar"

const (
	// uploadStep must come within uploadPatience, so that a client that sends a byte a minute
	// does not keep the connection.
	uploadStep     = 256 << 10
	uploadPatience = 30 * time.Second
)

// IsTar reports whether the body of a request is a tar.
func IsTar(r *http.Request) bool {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && kind == TypeTar
}

// Upload returns the body of a long request, which ends where it comes too slowly. The errors of
// its reads are problems. The caller calls [ExtendDeadline] before the answer.
func Upload(c echo.Context) (io.Reader, error) {
	if c.Request().Header.Get("Content-Encoding") != "" {
		return nil, Problem(http.StatusUnsupportedMediaType, "send the body without a Content-Encoding")
	}
	return &upload{body: c.Request().Body, deadlines: http.NewResponseController(c.Response().Writer)}, nil
}

type upload struct {
	body      io.Reader
	deadlines *http.ResponseController
	left      int // of the present step, in bytes
}

func (u *upload) Read(p []byte) (int, error) {
	if u.left <= 0 {
		u.left = uploadStep
		_ = u.deadlines.SetReadDeadline(time.Now().Add(uploadPatience)) // some connections know none
	}
	n, err := u.body.Read(p)
	u.left -= n
	if err != nil && !errors.Is(err, io.EOF) {
		err = Problem(http.StatusBadRequest, "the body did not arrive whole and in time")
	}
	return n, err
}
