package results

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/retention"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// pathKey is where a request below the result URL of a batch has the path of the frame's result.
const pathKey = "result path"

// pathOf returns the path at which a request has asked for the result of a job, from the id of
// the job or of its batch on.
func pathOf(c echo.Context, id string) string {
	if path, ok := c.Get(pathKey).(string); ok {
		return path
	}
	return id
}

// OfFrame returns the handler of a result URL as that of <result URL of a batch>/frames/<n>. Who
// may read the result of the batch may read those of its frames: the id of a frame is a digest of
// that of the batch, so that no other job can have it.
func (hs *Handlers) OfFrame(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		batch, err := httpio.JobIDParam(c)
		if err != nil {
			return err
		}
		number, err := numberParam(c, "frames")
		if err != nil {
			return err
		}
		c.Set(pathKey, batch+"/frames/"+strconv.Itoa(number))
		return hs.answerAs(c, next, batch, jobs.FrameID(batch, number), "frame "+strconv.Itoa(number))
	}
}

// OfBundle is OfFrame for the job that makes the bundle, at <result URL of a batch>/bundle.
func (hs *Handlers) OfBundle(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		batch, err := httpio.JobIDParam(c)
		if err != nil {
			return err
		}
		c.Set(pathKey, batch+"/bundle")
		return hs.answerAs(c, next, batch, jobs.BundleID(batch), "bundle")
	}
}

// numberParam returns the number of a frame or run in a path, or a problem where it is none. Each
// has one path.
func numberParam(c echo.Context, of string) (int, error) {
	given := c.Param("number")
	n, err := strconv.Atoi(given)
	if err != nil || n < 0 || n > jobs.MaxFrame || strconv.Itoa(n) != given {
		return 0, httpio.Problem(http.StatusNotFound, "there is nothing at this path; that of one of the "+of+" ends in "+of+"/ and its number, without zeros before it")
	}
	return n, nil
}

// answerAs answers for a job of a batch as at its own result URL.
func (hs *Handlers) answerAs(c echo.Context, next echo.HandlerFunc, batch, id, what string) error {
	if strings.HasSuffix(c.Path(), "/events") { // which waits for a job that is yet to come
		if err := hs.neverMade(c, batch, id, what); err != nil {
			return err
		}
	}
	err := answerFor(c, next, id)
	if isUnknown(err) && !errors.Is(err, retention.ErrDeleted) && !c.Response().Committed {
		return hs.notMade(c, batch, what, err)
	}
	return err
}

// answerFor answers as at the result URL of a job.
func answerFor(c echo.Context, next echo.HandlerFunc, id string) error {
	values := slices.Clone(c.ParamValues())
	values[slices.Index(c.ParamNames(), "id")] = id
	c.SetParamValues(values...)
	return next(c)
}

// neverMade returns an error if a job of a batch is unknown and cannot come any more.
func (hs *Handlers) neverMade(c echo.Context, batch, id, what string) error {
	_, unknown := hs.docs.ledger.Get(c.Request().Context(), id)
	if !errors.Is(unknown, ledger.ErrUnknown) || errors.Is(unknown, retention.ErrDeleted) {
		return nil
	}
	rec, err := hs.docs.ledger.Get(c.Request().Context(), batch)
	if err != nil && !errors.Is(err, retention.ErrDeleted) || err == nil && rec.Program == jobs.BatchProgram && !rec.State.Final() {
		return nil
	}
	return hs.notMade(c, batch, what, httpio.Problem(http.StatusNotFound, "no batch with this id is known"))
}

// notMade says why a job of a batch is unknown.
func (hs *Handlers) notMade(c echo.Context, batch, what string, unknown error) error {
	if c.Request().Context().Err() != nil {
		return unknown
	}
	rec, err := hs.docs.ledger.Get(c.Request().Context(), batch)
	switch {
	case err != nil:
		return err // the batch is unknown itself, or was deleted
	case rec.Program != jobs.BatchProgram:
		return unknown
	case rec.State.Final():
		return httpio.Problem(http.StatusNotFound, "the batch has no "+what)
	}
	c.Response().Header().Set("Retry-After", "5")
	return httpio.Problem(http.StatusNotFound, "the batch, which is "+string(rec.State)+", has not made its "+what+" yet, if it is to have one; ask again later")
}
