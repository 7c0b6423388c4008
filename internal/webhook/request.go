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
	"strings"
	"sync/atomic"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/outbox"
	"github.com/runnerbean/runnerbean/internal/outbound"
	"github.com/runnerbean/runnerbean/internal/signature"
	"github.com/runnerbean/runnerbean/jobs"
)

const (
	// putTimeout bounds one delivery of a small document. A large one has a second
	// more for each putRate bytes, up to maxPut in all.
	putTimeout = 30 * time.Second
	putRate    = 256 << 10
	maxPut     = 2 * time.Minute
	// maxAnswer is how many bytes of an answer are read, so that the connection can
	// be used again.
	maxAnswer = 16 << 10
	// maxRetryAfter is the longest wait that a receiver can ask for.
	maxRetryAfter = 2 * time.Hour
)

var (
	errNoURL  = errors.New("result.url cannot be asked")
	errServed = errors.New("the pool serves the URL itself")
)

// statusError is an answer with a status other than 2xx.
type statusError struct {
	status int
	after  time.Duration // its Retry-After
}

func (e *statusError) Error() string {
	text := fmt.Sprintf("the receiver answered %d %s", e.status, http.StatusText(e.status))
	if e.status/100 == 3 {
		text += "; redirects are not followed, so name the address itself"
	}
	return text
}

// requester sends hooks to their receivers. Its errors do not repeat the URL.
type requester struct {
	cfg    Config
	keys   atomic.Pointer[[][]byte] // at first Config.Keys
	client *http.Client
}

func newRequester(cfg Config) *requester {
	client := outbound.NewClient(cfg.Outbound)
	follow := client.CheckRedirect
	client.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		if via[0].Method == http.MethodPut && req.Method == http.MethodPut {
			return follow(req, via)
		}
		// A receiver could redirect a signed message to another one.
		return http.ErrUseLastResponse
	}
	r := &requester{cfg: cfg, client: client}
	r.keys.Store(&cfg.Keys)
	return r
}

// send makes one try.
func (r *requester) send(ctx context.Context, h Hook) error {
	if h.Kind == outbox.KindDelivery {
		return r.put(ctx, h)
	}
	return r.post(ctx, h)
}

// post sends the webhook of a job that has ended, by the Standard Webhooks
// specification.
func (r *requester) post(ctx context.Context, h Hook) error {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Timeout)
	defer cancel()
	body, err := r.body(ctx, h)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.URL, bytes.NewReader(body))
	if err != nil {
		return errors.New("not a URL")
	}
	if err := outbound.CheckURL(req.URL); err != nil {
		return err
	}
	stamp := strconv.FormatInt(time.Now().Unix(), 10)
	req.Header.Set(signature.WebhookID, h.ID)
	req.Header.Set(signature.WebhookTimestamp, stamp)
	keys := *r.keys.Load()
	signatures := make([]string, len(keys))
	for i, key := range keys {
		signatures[i] = signature.Webhook(h.ID, stamp, body, key)
	}
	req.Header.Set(signature.WebhookSignature, strings.Join(signatures, " "))
	return r.do(req)
}

// body returns the JSON of a webhook. It is far below 64 KiB, because the longest
// member is a URL.
func (r *requester) body(ctx context.Context, h Hook) ([]byte, error) {
	result, err := r.cfg.ResultURL(ctx, h.Job)
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

// put sends the current document of a job, unless the pool serves its URL. That may have
// become known since the end of the job.
func (r *requester) put(ctx context.Context, h Hook) error {
	ctx, cancel := context.WithTimeout(ctx, maxPut)
	defer cancel()
	switch served, err := r.cfg.Outbox.Serves(ctx, h.URL); {
	case err != nil:
		return err
	case served:
		return errServed
	}
	body, size, err := r.cfg.Document(ctx, h.Job)
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
		again, _, err := r.cfg.Document(ctx, h.Job)
		return again, err
	}
	return r.do(req)
}

// do sends a request. It returns a *statusError for an answer other than 2xx.
func (r *requester) do(req *http.Request) error {
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "runnerbean")
	answer, err := r.client.Do(req)
	if err != nil {
		return outbound.WithoutURL(err)
	}
	defer answer.Body.Close()
	_, _ = io.CopyN(io.Discard, answer.Body, maxAnswer) // only the status matters
	if answer.StatusCode/100 == 2 {
		return nil
	}
	return &statusError{status: answer.StatusCode, after: outbound.RetryAfter(answer.Header, time.Now(), maxRetryAfter)}
}

// isPermanent reports whether every further try would fail.
func isPermanent(err error) bool {
	if answer, ok := errors.AsType[*statusError](err); ok {
		return !outbound.TransientStatus(answer.status)
	}
	return errors.Is(err, errNoURL) || !outbound.Transient(err) && !errors.Is(err, context.Canceled)
}
