package results

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/internal/signature"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/auth"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
	"github.com/runnerbean/runnerbean/publisher/internal/live"
)

// sharedJob is the parameter of GetSharedEvents: ID, or ID.EXPIRES.SIGNATURE with the
// values of a signed URL.
const sharedJob = "job"

// GetSharedEvents streams the states of several jobs as Server-Sent Events, so that a
// page needs one connection for all its results. A job that may not be read, or that is
// not known, has the event "refused" and does not end the stream.
func (hs *Handlers) GetSharedEvents(c echo.Context) error {
	wanted, err := parseSharedJobs(c.QueryParams())
	if err != nil {
		return err
	}
	if c.Request().Method == http.MethodHead {
		live.WriteHead(c.Response())
		return nil
	}
	mayRead := hs.auth.ResultReader(c)
	var ids []string
	var refusals []*live.Message
	for _, job := range wanted {
		if err := mayRead(job.id, job.signature); err != nil {
			refusals = append(refusals, refused(job.id, err))
			continue
		}
		ids = append(ids, job.id)
	}
	c.Response().Header().Del("WWW-Authenticate") // for one of the jobs, and the answer is 200
	auth.AllowAnyOrigin(c.Response().Header(), c.Request())
	return hs.broker.ServeJobs(c.Response().Writer, c.Request(), ids, refusals)
}

// signedID is the id of a job, with the query of its signed URL if it has one.
type signedID struct {
	id        string
	signature url.Values
}

// parseSharedJobs reads the query. Of an id that occurs twice it takes the first.
func parseSharedJobs(query url.Values) ([]signedID, error) {
	values := query[sharedJob] // others may be for a proxy, and the URL of a result may have them, too
	if len(values) == 0 || len(values) > live.MaxJobs {
		return nil, httpio.BadParameter(sharedJob, fmt.Sprintf("1 to %d jobs are wanted, not %d", live.MaxJobs, len(values)))
	}
	list := make([]signedID, 0, len(values))
	for _, value := range values {
		id, rest, signed := strings.Cut(value, ".")
		if !jobs.ValidID(id) {
			return nil, httpio.BadParameter(sharedJob, "the id of a job is wanted, or ID.EXPIRES.SIGNATURE")
		}
		job := signedID{id: id}
		if signed {
			expires, sum, _ := strings.Cut(rest, ".")
			job.signature = url.Values{signature.ParamExpires: {expires}, signature.ParamSignature: {sum}}
		}
		if !slices.ContainsFunc(list, func(other signedID) bool { return other.id == id }) {
			list = append(list, job)
		}
	}
	return list, nil
}

// refused returns the event that says why a job of a shared stream has no document.
func refused(id string, err error) *live.Message {
	p, _ := httpio.ProblemOf(err)
	body, err := httpio.Marshal(struct {
		ID     string `json:"id"`
		Status int    `json:"status"`
		Title  string `json:"title"`
		Detail string `json:"detail,omitempty"`
	}{id, p.Status, p.Title, p.Detail})
	if err != nil {
		body = []byte(`{"id":"` + id + `","status":500,"title":"Internal Server Error"}`)
	}
	return live.Event("refused", "", body, "state "+id)
}
