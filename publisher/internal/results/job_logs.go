package results

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/logtext"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

const (
	// logAttempt, logPosition and logTotal tell where the part of a log belongs
	// that an answer has: to which attempt, at which of the bytes that its program
	// wrote, and how many those are so far.
	logAttempt  = "Log-Attempt"
	logPosition = "Log-Position"
	logTotal    = "Log-Total"
)

// GetLog answers with the log of the newest attempt, or of ?attempt=N, and of
// that the last ?tail=BYTES, or what was written from position ?from=BYTES on.
// With ?rendered=true it is as a terminal shows it.
func (hs *Handlers) GetLog(c echo.Context) error {
	id, err := httpio.JobIDParam(c)
	if err != nil {
		return err
	}
	query, err := parseLogQuery(c.QueryParams())
	if err != nil {
		return err
	}
	rec, err := hs.docs.ledger.Get(c.Request().Context(), id)
	if err != nil {
		return err
	}
	if query.attempt, err = query.of(rec); err != nil {
		return err
	}
	h := c.Response().Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Content-Security-Policy", httpio.SandboxPolicy)
	h.Set("Cache-Control", httpio.NoCache)
	if query.attempt == rec.Attempt && !rec.State.Final() {
		h.Set("Cache-Control", httpio.NoStore)
	}
	h.Set(logAttempt, strconv.Itoa(query.attempt))
	return hs.sendLog(c, id, query)
}

func (hs *Handlers) sendLog(c echo.Context, id string, query logQuery) error {
	w := httpio.RollingDeadline(c.Response().Writer)
	object, err := hs.open(c.Response().Writer, c.Request(), store.LogKey(id, query.attempt))
	if errors.Is(err, fs.ErrNotExist) {
		c.Response().Header().Set(logPosition, "0")
		c.Response().Header().Set(logTotal, "0")
		http.ServeContent(w, c.Request(), "", time.Time{}, strings.NewReader(""))
		return nil
	}
	if err != nil {
		return err
	}
	defer object.Close()
	content, err := query.part(c.Response().Header(), object)
	if err != nil {
		return err
	}
	if query.rendered {
		raw, err := io.ReadAll(io.LimitReader(content, maxLogRead))
		if err != nil {
			return err
		}
		content = strings.NewReader(logtext.Visible(logtext.Render(string(raw)), true))
	}
	// A log may change twice within the second that Last-Modified can tell.
	c.Response().Header().Set("ETag", fmt.Sprintf(`"%x-%x"`, object.ModTime.UnixNano(), object.Size))
	http.ServeContent(w, c.Request(), "", object.ModTime, content)
	return nil
}

// maxLogRead bounds what is rendered of a log; a stored one is shorter.
const maxLogRead int64 = 2*logtext.EndSize + logtext.GapSize

// part returns the part of a log that the query asks for.
func (q logQuery) part(h http.Header, o *object) (io.ReadSeeker, error) {
	kept, err := layoutOf(o.Object)
	if err != nil {
		return nil, err
	}
	h.Set(logTotal, strconv.FormatInt(kept.Total(), 10))
	switch {
	case q.from >= 0:
		position, offset, length := kept.Part(q.from)
		h.Set(logPosition, strconv.FormatInt(position, 10))
		return &window{r: o, off: offset, size: length}, nil
	case q.tail >= 0 && q.tail < o.Size:
		offset, err := characterAt(o.Object, o.Size-q.tail)
		return &window{r: o, off: offset, size: o.Size - offset}, err
	}
	_, err = o.Seek(0, io.SeekStart)
	return o, err
}

// layoutOf returns which parts of a log are stored.
func layoutOf(object *store.Object) (logtext.Kept, error) {
	if object.Size <= logtext.GapOffset {
		return logtext.LayoutOf(object.Size, nil), nil
	}
	if _, err := object.Seek(logtext.GapOffset, io.SeekStart); err != nil {
		return logtext.Kept{}, err
	}
	gap, err := io.ReadAll(io.LimitReader(object, logtext.GapSize))
	return logtext.LayoutOf(object.Size, gap), err
}

// characterAt returns where the first whole character begins, from offset on.
func characterAt(object *store.Object, offset int64) (int64, error) {
	if _, err := object.Seek(offset, io.SeekStart); err != nil {
		return 0, err
	}
	first, err := io.ReadAll(io.LimitReader(object, utf8.UTFMax))
	return offset + int64(len(first)-len(logtext.Tail(first))), err
}

// logQuery says which log, and how much of it.
type logQuery struct {
	attempt  int
	tail     int64 // bytes from the end; -1: all
	from     int64 // position in what the program wrote; -1: as stored
	rendered bool
}

func parseLogQuery(q url.Values) (logQuery, error) {
	out := logQuery{tail: -1, from: -1}
	for name, values := range q {
		n, err := strconv.ParseInt(values[0], 10, 64)
		valid := err == nil && len(values) == 1 && n >= 0
		switch {
		case name == "attempt" && valid && n >= 1 && n <= 1<<31:
			out.attempt = int(n)
		case name == "tail" && valid:
			out.tail = n
		case name == "from" && valid:
			out.from = n
		case name == "rendered" && len(values) == 1 && (values[0] == "true" || values[0] == "false"):
			out.rendered = values[0] == "true"
		case name == "attempt":
			return out, httpio.BadParameter(name, "is a number from 1, once")
		case name == "tail" || name == "from":
			return out, httpio.BadParameter(name, "is a number of bytes, once")
		case name == "rendered":
			return out, httpio.BadParameter(name, "is true or false, once")
		default:
			return out, httpio.BadParameter(name, "is not known here; attempt, tail, from and rendered are")
		}
	}
	if out.from >= 0 && (out.tail >= 0 || out.rendered) {
		return out, httpio.BadParameter("from", "goes with neither tail nor rendered")
	}
	return out, nil
}

// of returns the number of the attempt, or 0 before the first.
func (q logQuery) of(rec ledger.Record) (int, error) {
	if q.attempt == 0 {
		return rec.Attempt, nil
	}
	if q.attempt > rec.Attempt {
		return 0, httpio.Problem(http.StatusNotFound, "the job has had "+text.Plural(rec.Attempt, "attempt"))
	}
	return q.attempt, nil
}

// window is the part of r that begins at off.
type window struct {
	r         io.ReadSeeker
	off, size int64
	at        int64
}

func (s *window) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += s.at
	case io.SeekEnd:
		offset += s.size
	}
	if offset < 0 {
		return 0, errors.New("publisher: seek before the start")
	}
	s.at = offset
	_, err := s.r.Seek(s.off+offset, io.SeekStart)
	return offset, err
}

func (s *window) Read(p []byte) (int, error) {
	left := s.size - s.at
	if left <= 0 {
		return 0, io.EOF
	}
	n, err := s.r.Read(p[:min(int64(len(p)), left)])
	s.at += int64(n)
	return n, err
}
