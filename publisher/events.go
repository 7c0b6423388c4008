package publisher

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
	"github.com/runnerbean/runnerbean/publisher/internal/live"
)

// arrival is how long a stream waits for a job that is not known yet.
const arrival = 5 * time.Second

// getEvents streams the states of a job as Server-Sent Events: the present one
// at once, then each change, until the final one.
func (p *Publisher) getEvents(c echo.Context) error {
	id, err := httpio.JobIDParam(c)
	if err != nil {
		return err
	}
	sub, err := p.hub.subscribe(id, httpio.ClientNetwork(c.Request()))
	if err != nil {
		return err
	}
	first, err := p.arrived(c, sub)
	if err != nil {
		sub.close()
		return err
	}
	if c.Request().Method == http.MethodHead {
		sub.close()
		return headOfEvents(c)
	}
	p.hub.streams.Serve(c.Response().Writer, c.Request(), 0, func(s *live.Stream) {
		s.Send(opening)
		s.Send(first.message())
		sub.follow(s)
	}, sub.close)
	return nil
}

var opening = live.Opening("")

// message is the document as an event, made once for everybody.
func (d *document) message() *live.Message {
	d.once.Do(func() {
		d.event = live.Event("state", d.version, d.body, "state")
		if d.final() {
			d.event.Last()
		}
	})
	return d.event
}

// headOfEvents answers a HEAD request.
func headOfEvents(c echo.Context) error {
	h := c.Response().Header()
	h.Set("Content-Type", live.ContentType)
	h.Set("Cache-Control", httpio.NoStore)
	c.Response().WriteHeader(http.StatusOK)
	return nil
}

// arrived waits for the first document. A job whose id is young is given some
// time to come through the inbox, for a browser does not ask again after a 404.
func (p *Publisher) arrived(c echo.Context, sub *subscription) (*document, error) {
	timeout := time.NewTimer(arrival)
	defer timeout.Stop()
	var err error = errClosing
	for {
		select {
		case d := <-sub.mail:
			if err = d.err; err == nil {
				return d, nil
			}
			if !isUnknown(err) || !httpio.IsRecentID(sub.id, time.Now()) {
				return nil, err
			}
		case <-timeout.C:
			return nil, err
		case <-p.hub.done:
			return nil, errClosing
		case <-sub.evicted:
			return nil, errBusy
		case <-c.Request().Context().Done():
			return nil, c.Request().Context().Err()
		}
	}
}
