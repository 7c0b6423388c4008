package results

import (
	"bytes"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/auth"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
	"github.com/runnerbean/runnerbean/publisher/internal/live"
)

// GetResult answers with the result of a job, or with its state.
func (hs *Handlers) GetResult(c echo.Context) error {
	id, err := httpio.JobIDParam(c)
	if err != nil {
		return err
	}
	c.Response().Header()["Vary"] = hs.auth.ResultVary(c.Request())
	html, err := httpio.WantsHTML(c)
	if err != nil {
		return err
	}
	d, err := hs.current(c, id)
	if err != nil {
		return err
	}
	switch {
	case html:
		return hs.servePage(c, d)
	case d.stored != nil && auth.SignedQuery(c) != "":
		return hs.serveOpened(c, d.stored)
	case d.stored != nil:
		return hs.serveStored(c.Response().Writer, c.Request(), d.stored)
	case d.final():
		return serveEnd(c, d)
	}
	return servePending(c, d)
}

// current returns the document as it is now. If the request prefers to wait and the job
// has not ended, it returns the document after its next change.
func (hs *Handlers) current(c echo.Context, id string) (*document, error) {
	wait, ok := httpio.PreferWait(httpio.Field(c.Request().Header, "Prefer"))
	if !ok || hs.docs.cache.get(id) != nil {
		d := hs.docs.Read(c.Request().Context(), id)
		return d, d.err
	}
	c.Response().Header().Set("Preference-Applied", "wait="+strconv.Itoa(int(wait/time.Second)))
	d, err := hs.hold(c, id, wait)
	if errors.Is(err, live.ErrBusy) || isUnknown(err) {
		c.Response().Header().Del("Preference-Applied")
	}
	if errors.Is(err, live.ErrBusy) {
		d = hs.docs.Read(c.Request().Context(), id)
		return d, d.err
	}
	return d, err
}

// hold waits until the document of a job changes, the job has ended, the time
// is up, the node shuts down or another client needs the place, and returns the
// newest document. Who names the document that it has does not wait where that
// is an older one.
func (hs *Handlers) hold(c echo.Context, id string, wait time.Duration) (*document, error) {
	sub, err := hs.broker.Subscribe(id, hs.proxies.Network(c.Request()))
	if err != nil {
		return nil, err
	}
	defer sub.Close()
	ctx := c.Request().Context()
	first := hs.docs.Read(ctx, id)
	timeout := time.NewTimer(wait)
	defer timeout.Stop()
	newest := first
	if known := httpio.Field(c.Request().Header, "If-None-Match"); known != "" && !first.known(known) {
		return first, first.err
	}
	if isUnknown(first.err) {
		return first, first.err // it would be held for anybody who makes up an id
	}
	for !newest.final() && !newest.Failed() && newest.version == first.version && newest.state == first.state {
		select {
		case d := <-sub.Documents():
			newest = d.(*document)
			continue
		case <-timeout.C:
		case <-ctx.Done():
		case <-hs.broker.Done():
		case <-sub.Evicted():
		}
		break
	}
	httpio.ExtendDeadline(c.Response().Writer, httpio.WriteTimeout)
	return newest, newest.err
}

// serveEnd answers for a job that failed or was cancelled. It may be retried,
// so that the answer is kept only with a question, and that by the tag alone:
// a retry may end in the same second.
func serveEnd(c echo.Context, d *document) error {
	h, etag := c.Response().Header(), `"`+d.version+`"`
	h.Set("Cache-Control", httpio.NoCache)
	h.Set("ETag", etag)
	h.Set("Content-Type", httpio.TypeJSON)
	http.ServeContent(c.Response(), c.Request(), "", time.Time{}, bytes.NewReader(d.body))
	return nil
}

// servePending answers for a job that has not ended.
func servePending(c echo.Context, d *document) error {
	h := c.Response().Header()
	h.Set("Cache-Control", httpio.NoStore)
	h.Set("ETag", d.tag())
	if d.known(httpio.Field(c.Request().Header, "If-None-Match")) {
		return c.NoContent(http.StatusNotModified)
	}
	h.Set("Retry-After", strconv.Itoa(retryAfter(d.result)))
	return c.Blob(http.StatusAccepted, httpio.TypeJSON, d.body)
}

// retryAfter returns in how many seconds the client should ask again.
func retryAfter(r jobs.Result) int {
	switch {
	case r.State == jobs.Running:
		return 1
	case r.NotBefore.After(time.Now()):
		return min(10, 1+int(time.Until(r.NotBefore)/time.Second))
	case r.State == jobs.Waiting:
		return 5
	case r.Position != nil && *r.Position == 0:
		return 1
	}
	return 2
}
