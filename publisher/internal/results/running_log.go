package results

import (
	"bytes"
	"context"
	"io"
	"math"
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/internal/ledger/logs"
	"github.com/runnerbean/runnerbean/internal/logtext"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// runningLog is a part of a log that the ledger has.
type runningLog struct {
	logs.Log
	text     []byte
	position int64 // of the text, where the query has one
}

// runningLog reads from the ledger what a query asks for. found is false if the ledger has
// no log of the attempt.
func (docs *Documents) runningLog(ctx context.Context, id string, q logQuery) (r runningLog, found bool, err error) {
	from := max(q.from, 0)
	short := q.tail >= 0 && q.tail <= logtext.EndSize
	if short {
		last, found, err := docs.ledger.Logs.Read(ctx, id, q.attempt, math.MaxInt64)
		if err != nil || !found {
			return r, false, err
		}
		from = max(last.Total-q.tail, 0)
	}
	if r.Log, found, err = docs.ledger.Logs.Read(ctx, id, q.attempt, from); err != nil || !found {
		return r, false, err
	}
	switch {
	case short && from > 0:
		_, r.text = logtext.From(r.Chunks, from)
		r.text = logtext.Tail(r.text)
	case q.from >= 0:
		r.position, r.text = logtext.From(r.Chunks, from)
	default:
		r.text = logtext.Join(r.Chunks)
		if q.tail >= 0 && q.tail < int64(len(r.text)) {
			r.text = logtext.Tail(r.text[int64(len(r.text))-q.tail:])
		}
	}
	return r, true, nil
}

// sendRunningLog answers with a log that the ledger has. sent is false if it has none.
func (hs *Handlers) sendRunningLog(c echo.Context, id string, q logQuery) (sent bool, err error) {
	r, found, err := hs.docs.runningLog(c.Request().Context(), id, q)
	if err != nil || !found {
		return false, err
	}
	h := c.Response().Header()
	h.Set(logTotal, strconv.FormatInt(r.Total, 10))
	if q.from >= 0 {
		h.Set(logPosition, strconv.FormatInt(r.position, 10))
	}
	var content io.ReadSeeker = bytes.NewReader(r.text)
	if q.rendered {
		content = rendered(r.text)
	}
	serveLog(c, httpio.RollingDeadline(c.Response().Writer), content, r.At, r.Total)
	return true, nil
}
