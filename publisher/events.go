package publisher

import (
	"io"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
)

const (
	// eventTimeout bounds how long one event may take to be written.
	eventTimeout = 10 * time.Second
	// eventIdle is the longest silence of a stream.
	eventIdle = 15 * time.Second
	// arrival is how long a stream waits for a job that is not known yet.
	arrival = 5 * time.Second
)

// getEvents streams the states of a job as Server-Sent Events: the present one
// at once, then each change, until the final one.
func (p *Publisher) getEvents(c echo.Context) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	sub, err := p.hub.subscribe(id)
	if err != nil {
		return err
	}
	defer sub.close()
	first, err := p.arrived(c, sub)
	if err != nil {
		return err
	}
	if c.Request().Method == http.MethodHead {
		eventHeader(c.Response().Header())
		c.Response().WriteHeader(http.StatusOK)
		return nil
	}
	p.stream(c, sub, first)
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
			if !isUnknown(err) || !isYoung(sub.id, time.Now()) {
				return nil, err
			}
		case <-timeout.C:
			return nil, err
		case <-p.hub.done:
			return nil, errClosing
		case <-c.Request().Context().Done():
			return nil, c.Request().Context().Err()
		}
	}
}

func eventHeader(h http.Header) {
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", noStore)
	h.Set("X-Accel-Buffering", "no") // nginx would hold events back
}

// stream writes events until the job has ended or the client or the node has gone.
func (p *Publisher) stream(c echo.Context, sub *subscription, d *document) {
	eventHeader(c.Response().Header())
	w := newEventWriter(c.Response().Writer)
	if w.begin() != nil {
		return
	}
	idle := time.NewTimer(eventIdle)
	defer idle.Stop()
	for {
		var err error
		if d != nil {
			err = w.event(d)
		} else {
			err = w.comment()
		}
		if err != nil || d != nil && d.final() {
			return
		}
		idle.Reset(eventIdle)
		select {
		case d = <-sub.mail:
		case <-idle.C:
			d = nil
		case <-p.hub.done:
			return
		case <-c.Request().Context().Done():
			return
		}
	}
}

// eventWriter writes Server-Sent Events, each with a deadline.
type eventWriter struct {
	w  http.ResponseWriter
	rc *http.ResponseController
}

func newEventWriter(w http.ResponseWriter) *eventWriter {
	return &eventWriter{w: w, rc: http.NewResponseController(w)}
}

func (e *eventWriter) begin() error {
	e.w.WriteHeader(http.StatusOK)
	return e.write([]string{"retry: 2000\n\n"}, nil, "")
}

func (e *eventWriter) event(d *document) error {
	return e.write([]string{"event: state\nid: ", d.version, "\ndata: "}, d.body, "\n\n")
}

func (e *eventWriter) comment() error { return e.write([]string{":\n\n"}, nil, "") }

func (e *eventWriter) write(head []string, body []byte, tail string) error {
	extend(e.w, eventTimeout)
	for _, s := range head {
		if _, err := io.WriteString(e.w, s); err != nil {
			return err
		}
	}
	if _, err := e.w.Write(body); err != nil {
		return err
	}
	if _, err := io.WriteString(e.w, tail); err != nil {
		return err
	}
	return e.rc.Flush()
}
