package results

import (
	"errors"
	"io"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/internal/logtext"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
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
	// The ledger is asked first: it has a log until the store has the whole of it.
	if sent, err := hs.sendRunningLog(c, id, query); sent || err != nil {
		return err
	}
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
		content = rendered(raw)
	}
	serveLog(c, w, content, object.ModTime, object.Size)
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
