package results

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/internal/logtext"
)

const (
	// logAttempt, logPosition and logTotal tell where the part of a log belongs
	// that an answer has: to which attempt, at which of the bytes that its program
	// wrote, and how many those are so far.
	logAttempt  = "Log-Attempt"
	logPosition = "Log-Position"
	logTotal    = "Log-Total"
)

// rendered returns a log as a terminal shows it.
func rendered(raw []byte) io.ReadSeeker {
	return strings.NewReader(logtext.Visible(logtext.Render(string(raw)), true))
}

// serveLog answers with a part of a log that was changed at a time and has a size then. A log
// may change twice within the second that Last-Modified can tell.
func serveLog(c echo.Context, w http.ResponseWriter, content io.ReadSeeker, at time.Time, size int64) {
	c.Response().Header().Set("ETag", fmt.Sprintf(`"%x-%x"`, at.UnixNano(), size))
	http.ServeContent(w, c.Request(), "", at, content)
}
