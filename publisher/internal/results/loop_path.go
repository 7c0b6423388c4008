package results

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/internal/ledger/loops"
	"github.com/runnerbean/runnerbean/publisher/internal/auth"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// latest is the end of the path of the newest success of a loop.
const latest = "/latest"

// OfRun returns the handler of a result URL as that of <result URL of a job of a loop>/runs/<n>.
// Who may read one result of a loop may read the others: they come of the same document.
func (hs *Handlers) OfRun(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		id, err := httpio.JobIDParam(c)
		if err != nil {
			return err
		}
		run, err := numberParam(c, "runs")
		if err != nil {
			return err
		}
		loop, err := hs.loopOf(c.Request().Context(), id)
		if err != nil {
			return err
		}
		if run > loop.Runs || run == 0 {
			return httpio.Problem(http.StatusNotFound, "the loop has "+strconv.Itoa(loop.Runs)+" runs so far, and no run "+strconv.Itoa(run))
		}
		job, found, err := hs.docs.ledger.Loops.Run(c.Request().Context(), loop.ID, run)
		if err != nil {
			return err
		}
		if !found {
			return hs.noRun(c.Request().Context(), loop.ID, run)
		}
		c.Set(pathKey, id+"/runs/"+strconv.Itoa(run))
		return answerFor(c, next, job)
	}
}

// noRun says why a run is not there: it was deleted, or another job had its id.
func (hs *Handlers) noRun(ctx context.Context, loop string, run int) error {
	d, err := hs.docs.ledger.Retention.Find(ctx, loops.RunID(loop, run))
	if err == nil && d != nil {
		_, err = hs.docs.ledger.Get(ctx, d.ID)
	}
	if err == nil {
		err = httpio.Problem(http.StatusNotFound, "the loop has no run "+strconv.Itoa(run))
	}
	return err
}

// OfLatest returns the handler of a result URL as that of <result URL of a job of a
// loop>/latest: the newest success, or the newest job before the first success. What is below it
// has the path of the run, since another run may be the newest when it is asked for.
func (hs *Handlers) OfLatest(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		id, err := httpio.JobIDParam(c)
		if err != nil {
			return err
		}
		loop, err := hs.loopOf(c.Request().Context(), id)
		if err != nil {
			return err
		}
		job, run := loop.Latest, loop.LatestRun
		if job == "" {
			job, run = loop.Newest, loop.Runs
		}
		path := "runs/" + strconv.Itoa(run)
		c.Set(pathKey, id+"/"+path)
		if strings.HasSuffix(c.Path(), latest) {
			c.Response().Header().Set("Content-Location", httpio.AddQuery(path, auth.SignedQuery(c)))
		}
		w := &revalidated{ResponseWriter: c.Response().Writer}
		c.Response().Writer = w
		err = answerFor(c, next, job)
		w.change()
		return err
	}
}

// loopOf returns the loop of a job, or of which it was the first job.
func (hs *Handlers) loopOf(ctx context.Context, id string) (loops.Loop, error) {
	loop, found, err := hs.docs.ledger.Loops.Find(ctx, id)
	if err != nil || found {
		return loop, err
	}
	if _, err := hs.docs.ledger.Get(ctx, id); err != nil {
		return loop, err
	}
	return loop, httpio.Problem(http.StatusNotFound, "the job does not repeat, so there is nothing below this path")
}

// linksPath returns the path of the links on the page about a result.
func linksPath(c echo.Context) string {
	path := strings.TrimSuffix(c.Request().URL.Path, "/")
	if before, ok := strings.CutSuffix(path, latest); ok {
		_, run, _ := strings.Cut(pathOf(c, ""), "/")
		return before + "/" + run
	}
	return path
}

// revalidated is the answer at an address where another result will be one day: who keeps it has
// to ask again.
type revalidated struct {
	http.ResponseWriter
	began bool
}

func (w *revalidated) change() {
	if h := w.Header(); h.Get("Cache-Control") == httpio.Immutable {
		h.Set("Cache-Control", httpio.NoCache)
	}
}

func (w *revalidated) WriteHeader(code int) {
	w.change()
	w.began = true
	w.ResponseWriter.WriteHeader(code)
}

func (w *revalidated) Write(b []byte) (int, error) {
	if !w.began {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(b)
}

func (w *revalidated) Unwrap() http.ResponseWriter { return w.ResponseWriter }
