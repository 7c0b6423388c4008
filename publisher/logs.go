package publisher

import (
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/store"
)

// hostile keeps a browser from running what a program has written.
const hostile = "sandbox; default-src 'none'; frame-ancestors 'none'"

// getLog answers with the log of the newest attempt, or of ?attempt=N, and of
// that the last ?tail=BYTES.
func (p *Publisher) getLog(c echo.Context) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	query, err := parseLogQuery(c.QueryParams())
	if err != nil {
		return err
	}
	rec, err := p.cfg.Ledger.Get(c.Request().Context(), id)
	if err != nil {
		return err
	}
	attempt, err := query.of(rec)
	if err != nil {
		return err
	}
	h := c.Response().Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Content-Security-Policy", hostile)
	h.Set("Cache-Control", noCache)
	if attempt == rec.Attempt && !rec.State.Final() {
		h.Set("Cache-Control", noStore)
	}
	return p.sendLog(c, id, attempt, query.tail)
}

func (p *Publisher) sendLog(c echo.Context, id string, attempt int, tail int64) error {
	w := rolling(c.Response().Writer)
	object, err := p.cfg.Store.Open(c.Request().Context(), store.LogKey(id, attempt))
	if errors.Is(err, fs.ErrNotExist) {
		http.ServeContent(w, c.Request(), "", time.Time{}, strings.NewReader(""))
		return nil
	}
	if err != nil {
		return err
	}
	defer object.Close()
	content := io.ReadSeeker(object)
	if tail >= 0 && tail < object.Size {
		content = &window{r: object, off: object.Size - tail, size: tail}
	}
	http.ServeContent(w, c.Request(), "", object.ModTime, content)
	return nil
}

// logQuery says which log, and how much of its end; tail is -1 for all.
type logQuery struct {
	attempt int
	tail    int64
}

func parseLogQuery(q url.Values) (logQuery, error) {
	out := logQuery{tail: -1}
	for name, values := range q {
		n, err := strconv.ParseInt(values[0], 10, 64)
		valid := err == nil && len(values) == 1
		switch {
		case name == "attempt" && valid && n >= 1 && n <= 1<<31:
			out.attempt = int(n)
		case name == "tail" && valid && n >= 0:
			out.tail = n
		case name == "attempt":
			return out, badParameter(name, "is a number from 1, once")
		case name == "tail":
			return out, badParameter(name, "is a number of bytes, once")
		default:
			return out, badParameter(name, "is not known here; attempt and tail are")
		}
	}
	return out, nil
}

// of is the number of the attempt that is asked for; 0 before the first.
func (q logQuery) of(rec ledger.Record) (int, error) {
	if q.attempt == 0 {
		return rec.Attempt, nil
	}
	if q.attempt > rec.Attempt {
		return 0, problem(http.StatusNotFound, "the job has had "+plural(rec.Attempt, "attempt"))
	}
	return q.attempt, nil
}

func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return strconv.Itoa(n) + " " + thing + "s"
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
	return s.r.Seek(s.off+offset, io.SeekStart)
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
