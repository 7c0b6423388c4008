package apihttp

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger/batches"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// GetFrames returns frames of a batch.
func (a *API) GetFrames(c echo.Context) (any, error) {
	id, err := httpio.JobIDParam(c)
	if err != nil {
		return nil, err
	}
	query, err := parseFrameQuery(c.QueryParams())
	if err != nil {
		return nil, err
	}
	ctx := c.Request().Context()
	rec, err := a.cfg.Record(ctx, id)
	if err != nil {
		return nil, err
	}
	if rec.Program != jobs.BatchProgram {
		return nil, httpio.Problem(http.StatusNotFound, "the job is no batch, so it has no frames")
	}
	list, next, err := query.read(ctx, a.cfg.Batches, id)
	if err != nil {
		return nil, err
	}
	answer := api.Frames{Frames: make([]api.Frame, len(list)), Next: next}
	base, now := strings.TrimSuffix(a.location(rec), id), time.Now()
	for i := range list {
		answer.Frames[i] = frameOf(&list[i], base, now)
	}
	return answer, nil
}

// frameOf returns a frame of a batch whose result URL is base and its id.
func frameOf(f *batches.Frame, base string, now time.Time) api.Frame {
	frame := api.Frame{Number: f.Number, ID: f.Job, URL: base + f.Job, State: f.State, Attempt: f.Attempt, Started: f.Started, Seconds: f.Run(now).Seconds()}
	if !f.Finished.Before(f.Started) {
		frame.Finished = f.Finished
	}
	return frame
}

// frameQuery says which frames are meant.
type frameQuery struct {
	state              jobs.State
	first, last, limit int
	byTime             bool
}

// defaultFrames is how many frames a page has if the request does not say.
const defaultFrames = 100

func parseFrameQuery(q url.Values) (frameQuery, error) {
	f := frameQuery{last: jobs.MaxFrame, limit: defaultFrames}
	err := httpio.ReadQuery(q, f.set)
	if err != nil || !f.byTime {
		return f, err
	}
	for _, name := range []string{"state", "first", "last"} {
		if q.Has(name) {
			return f, httpio.BadParameter(name, "does not go with sort=time, which lists the frames that have ended and ran longest")
		}
	}
	return f, nil
}

// set sets the field that a parameter names, and returns what is wrong with the value or "".
func (f *frameQuery) set(name, value string) string {
	switch name {
	case "state":
		f.state = jobs.State(value)
		if !slices.Contains(jobs.States, f.state) {
			return "is the state of a job, such as failed"
		}
	case "first":
		return setNumber(&f.first, value)
	case "last":
		return setNumber(&f.last, value)
	case "limit":
		return httpio.SetLimit(&f.limit, value)
	case "sort":
		if f.byTime = value == "time"; !f.byTime && value != "number" {
			return "is number or time"
		}
	default:
		return "is not known here; state, first, last, limit and sort are"
	}
	return ""
}

func setNumber(n *int, value string) string {
	var err error
	if *n, err = strconv.Atoi(value); err != nil || *n < 0 || *n > jobs.MaxFrame {
		return "is the number of a frame, from 0 to " + strconv.Itoa(jobs.MaxFrame)
	}
	return ""
}

// read returns a page of frames, and the number at which the next page begins; nil on the last.
func (f *frameQuery) read(ctx context.Context, from Batches, batch string) (list []batches.Frame, next *int, err error) {
	if f.byTime {
		list, err = from.Slowest(ctx, batch, f.limit)
		return list, nil, err
	}
	list, err = from.List(ctx, batch, f.state, f.first, f.last, f.limit+1)
	if len(list) > f.limit {
		next, list = &list[f.limit].Number, list[:f.limit]
	}
	return list, next, err
}
