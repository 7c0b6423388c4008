package webhook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/outbox"
	"github.com/runnerbean/runnerbean/internal/outbound"
)

// ErrGoesOn is returned by Config.Document for a job that has not ended: somebody has
// retried it, and its next end is delivered.
var ErrGoesOn = errors.New("the job goes on")

const (
	// putTimeout bounds one delivery of a small document; a large one has a second
	// more for each putRate bytes, up to maxPut in all.
	putTimeout = 30 * time.Second
	putRate    = 256 << 10
	maxPut     = 2 * time.Minute
)

func nameOf(h Hook) string {
	if h.Kind == outbox.KindDelivery {
		return "delivery"
	}
	return "webhook"
}

// put sends the document of a job as it stands now, which is its newest. The error
// does not repeat the URL.
func (d *Deliverer) put(ctx context.Context, h Hook) error {
	ctx, cancel := context.WithTimeout(ctx, maxPut)
	defer cancel()
	body, size, err := d.cfg.Document(ctx, h.Job)
	if err != nil {
		return err
	}
	ctx, cancel = context.WithTimeout(ctx, putTimeout+time.Duration(size/putRate)*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, h.URL, body)
	if err != nil {
		body.Close()
		return errNoURL
	}
	if err := outbound.CheckURL(req.URL); err != nil {
		body.Close()
		return fmt.Errorf("%w: %w", errNoURL, err)
	}
	req.ContentLength = size
	req.GetBody = func() (io.ReadCloser, error) {
		again, _, err := d.cfg.Document(ctx, h.Job)
		return again, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "runnerbean")
	answer, err := d.client.Do(req)
	if err != nil {
		return outbound.WithoutURL(err)
	}
	return answerFault(answer)
}

var errNoURL = errors.New("result.url cannot be asked")

// final reports whether a delivery would fail again and again.
func final(err error) bool {
	if answer, ok := errors.AsType[*refused](err); ok {
		return !outbound.TransientStatus(answer.status)
	}
	return errors.Is(err, errNoURL) || !outbound.Transient(err) && !errors.Is(err, context.Canceled)
}
