package results

import (
	"errors"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/internal/ledger/retention"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
	"github.com/runnerbean/runnerbean/publisher/internal/live"
)

// arrival is how long a stream waits for a job that is not known yet.
const arrival = 5 * time.Second

// GetEvents streams the states of a job as Server-Sent Events: the present one
// at once, then each change, until the final one.
func (hs *Handlers) GetEvents(c echo.Context) error {
	id, err := httpio.JobIDParam(c)
	if err != nil {
		return err
	}
	sub, err := hs.broker.Subscribe(id, hs.proxies.Network(c.Request()))
	if err != nil {
		return err
	}
	first, err := hs.arrived(c, sub)
	if err != nil {
		sub.Close()
		return err
	}
	if c.Request().Method == http.MethodHead {
		sub.Close()
		live.WriteHead(c.Response())
		return nil
	}
	hs.broker.ServeJob(c.Response().Writer, c.Request(), sub, first.Message())
	return nil
}

// arrived waits for the first document. A job with a recent id gets some time to come
// through the inbox, because a browser does not ask again after a 404.
func (hs *Handlers) arrived(c echo.Context, sub *live.Subscription) (*document, error) {
	timeout := time.NewTimer(arrival)
	defer timeout.Stop()
	var err error = live.ErrClosing
	for {
		select {
		case found := <-sub.Documents():
			d := found.(*document)
			if err = d.err; err == nil {
				return d, nil
			}
			if !isUnknown(err) || errors.Is(err, retention.ErrDeleted) || !httpio.IsRecentID(sub.ID(), time.Now()) {
				return nil, err
			}
		case <-timeout.C:
			return nil, err
		case <-hs.broker.Done():
			return nil, live.ErrClosing
		case <-sub.Evicted():
			return nil, live.ErrBusy
		case <-c.Request().Context().Done():
			return nil, c.Request().Context().Err()
		}
	}
}
