package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/outbox"
	"github.com/runnerbean/runnerbean/internal/outbound"
	"github.com/runnerbean/runnerbean/internal/panics"
	"github.com/runnerbean/runnerbean/internal/retry"
	"github.com/runnerbean/runnerbean/jobs"
)

const (
	// maxAnswer is how much of an answer is read, for the connection's sake.
	maxAnswer = 16 << 10
	// manyTries were put off for the better part of an hour: one that lay while all
	// nodes were away has had its chance, too.
	manyTries = 12
	// maxRetryAfter is the longest wait that a receiver can ask for.
	maxRetryAfter = 2 * time.Hour
)

// ErrNotYet is returned by Config.ResultURL where the result is about to be delivered:
// the webhook is put off for a moment.
var ErrNotYet = errors.New("its result is about to be delivered")

// refused is an answer other than 2xx.
type refused struct {
	status int
	after  time.Duration // as the receiver asks
}

func (r *refused) Error() string {
	text := fmt.Sprintf("the receiver answered %d %s", r.status, http.StatusText(r.status))
	if r.status/100 == 3 {
		text += "; redirects are not followed, so name the address itself"
	}
	return text
}

// tell makes one try and writes down how it went. It reports whether the host
// did not answer in time.
func (d *Deliverer) tell(ctx context.Context, h Hook) (slow bool) {
	send := d.post
	if h.Kind == outbox.KindDelivery {
		send = d.put
	}
	err := send(ctx, h)
	// What is known now is written even if the node stops in this moment.
	settle, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.cfg.Timeout)
	defer cancel()
	switch {
	case err == nil:
		d.cfg.Observe(h.Kind, "delivered")
		d.note(h, d.cfg.Outbox.Done(settle, h))
		return false
	case errors.Is(err, ErrGoesOn):
		d.note(h, d.cfg.Outbox.Obsolete(settle, h))
		return false
	case errors.Is(err, ErrNotYet):
		d.later(settle, h, putOff)
		return false
	}
	d.failed(settle, h, err)
	var answered *refused
	return !errors.As(err, &answered)
}

// post sends what there is to tell. The error does not repeat the URL.
func (d *Deliverer) post(ctx context.Context, h Hook) error {
	ctx, cancel := context.WithTimeout(ctx, d.cfg.Timeout)
	defer cancel()
	req, err := d.request(ctx, h)
	if err != nil {
		return err
	}
	answer, err := d.client.Do(req)
	if err != nil {
		return outbound.WithoutURL(err)
	}
	return answerFault(answer)
}

// answerFault is what is wrong with an answer, which it reads to its end, or nearly so.
func answerFault(answer *http.Response) error {
	defer answer.Body.Close()
	_, _ = io.CopyN(io.Discard, answer.Body, maxAnswer) // the status says all
	if answer.StatusCode/100 == 2 {
		return nil
	}
	return &refused{status: answer.StatusCode, after: outbound.RetryAfter(answer.Header, time.Now(), maxRetryAfter)}
}

func (d *Deliverer) request(ctx context.Context, h Hook) (*http.Request, error) {
	body, err := d.body(ctx, h)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.URL, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("not a URL")
	}
	if err := outbound.CheckURL(req.URL); err != nil {
		return nil, err
	}
	stamp := strconv.FormatInt(time.Now().Unix(), 10)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "runnerbean")
	req.Header.Set(jobs.HeaderWebhookID, h.ID)
	req.Header.Set(jobs.HeaderWebhookTimestamp, stamp)
	req.Header.Set(jobs.HeaderWebhookSignature, jobs.SignWebhook(h.ID, stamp, body, d.cfg.Key))
	return req, nil
}

// body is far below 64 KiB: the longest thing in it is a URL.
func (d *Deliverer) body(ctx context.Context, h Hook) ([]byte, error) {
	result, err := d.cfg.ResultURL(ctx, h.Job)
	if err != nil {
		return nil, fmt.Errorf("where the result is cannot be read: %w", err)
	}
	at := h.Ended.UTC().Truncate(time.Millisecond)
	hook := jobs.Webhook{Type: "job." + string(h.State), Timestamp: at, Data: jobs.WebhookJob{
		ID: h.Job, Program: h.Program, State: h.State, Timestamp: at, URL: result,
	}}
	if h.State != jobs.Succeeded {
		hook.Data.Class = h.Class
	}
	return json.Marshal(hook)
}

// failed puts one off, or gives it up.
func (d *Deliverer) failed(ctx context.Context, h Hook, err error) {
	wait := d.wait(h.Tries, time.Since(h.Ended))
	var answer *refused
	gone := h.Kind == outbox.KindDelivery && final(err)
	if errors.As(err, &answer) {
		wait, gone = max(wait, answer.after), gone || answer.status == http.StatusGone
	}
	next := time.Now().Add(wait)
	if !gone && next.Sub(h.Ended) <= d.cfg.MaxAge {
		d.note(h, d.cfg.Outbox.Failed(ctx, h, next, err.Error(), false))
		d.cfg.Observe(h.Kind, "failed")
		return
	}
	d.giveUp(ctx, h, err)
}

// caught gives up one that could not be told because of a defect of this node.
func (d *Deliverer) caught(ctx context.Context, h Hook, caught *panics.Error) {
	d.cfg.Logger.Error("a panic was caught", "job", h.Job, "stage", "webhook", "err", caught, "stack", caught.Stack)
	err := panics.Call(func() error {
		return d.cfg.Outbox.Failed(ctx, h, time.Now(), "a defect of the node: "+caught.Error()+"\n"+caught.Stack, true)
	})
	if err != nil {
		d.cfg.Logger.Warn("a webhook is not given up; it will be told again", "job", h.Job, "err", err)
	}
}

// giveUp says that nobody will be told. It names the host only: the path may be
// the secret, as those of chat services are.
func (d *Deliverer) giveUp(ctx context.Context, h Hook, err error) {
	where := hostOf(h.URL)
	d.cfg.Observe(h.Kind, "given_up")
	d.cfg.Logger.Warn("a "+nameOf(h)+" was given up", "job", h.Job, "host", where, "err", err)
	d.note(h, d.cfg.Outbox.Failed(ctx, h, time.Now(), where+": "+err.Error(), true))
}

// wait before another try: it doubles with each, and is not longer than what has
// passed since the job's end. One that was only put off counts as a try, and one
// that lay while all nodes were away as old, but seldom both.
func (d *Deliverer) wait(tries int, age time.Duration) time.Duration {
	wait := min(retry.Backoff{Base: d.cfg.Base, Max: d.cfg.Most}.Full(tries+1), max(d.cfg.Base, age))
	return wait*3/4 + time.Duration(d.cfg.Jitter()*float64(wait)/2)
}

// errBusy is why one is put off, or given up, that was not tried.
var errBusy = errors.New("its host is busy or does not answer")

// later puts one off that was not tried, and gives it up where that has gone on
// for too long: of many for a host that is away, few come to be tried.
func (d *Deliverer) later(ctx context.Context, h Hook, wait time.Duration) {
	next := time.Now().Add(wait + time.Duration(d.cfg.Jitter()*float64(putOff)))
	if h.Tries >= manyTries && next.Sub(h.Ended) > d.cfg.MaxAge {
		d.giveUp(ctx, h, errBusy)
		return
	}
	d.note(h, d.cfg.Outbox.Failed(ctx, h, next, errBusy.Error(), false))
}

// note: what could not be written down comes again once the lease is over.
func (d *Deliverer) note(h Hook, err error) {
	if err != nil {
		d.cfg.Logger.Warn("how a "+nameOf(h)+" went is not recorded; it will come again", "job", h.Job, "err", err)
	}
}
