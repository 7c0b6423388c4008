package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/outbound"
	"github.com/runnerbean/runnerbean/jobs"
)

const (
	deliverTries = 5
	// deliverTimeout bounds one try to deliver a result.
	deliverTimeout = 30 * time.Second
)

// elsewhere reports whether the result shall be at a URL that this node does
// not serve.
func (a *attempt) elsewhere() bool {
	url := a.job.Result.URL
	return url != "" && !strings.HasPrefix(url, a.cfg.BaseURL+"/")
}

// deliver puts a result where the job wants it, if that is not here. The job's
// end does not depend on it: the result is published here in any case.
func (a *attempt) deliver(ctx context.Context, document []byte) {
	if !a.elsewhere() {
		return
	}
	if err := a.fetcher.put(ctx, a.job.Result.URL, document); err != nil {
		a.note(ctx, "delivery", fmt.Sprintf("the result could not be put to %s: %v; it is at %s", outbound.Redact(a.job.Result.URL), err, a.publicURL()))
	}
}

// deliverFailure puts the document of a job that comes to its end without a
// result. As with results that is done before the end is recorded: killed in
// between, it is done again.
func (a *attempt) deliverFailure(ctx context.Context, e *ledger.Ending) {
	if !e.State.Final() || !a.elsewhere() || a.document != nil {
		return
	}
	a.lane.leave()
	if a.fence(ctx) != nil {
		return
	}
	now := time.Now().UTC().Truncate(time.Millisecond)
	document, err := marshal(jobs.Result{
		ID: a.job.ID, Program: a.record.Program, State: e.State, Timestamp: now,
		Created: a.job.Created, Started: a.record.Started, Finished: now,
		Attempt: a.record.Attempt, Node: a.cfg.Node, Error: e.Error,
	})
	if err == nil {
		a.deliver(ctx, document)
	}
}

// put sends a document, again and again while the server's faults may pass.
func (f *fetcher) put(ctx context.Context, url string, document []byte) error {
	for try := 1; ; try++ {
		err := f.putOnce(ctx, url, document)
		var soon *passing
		if err == nil || !errors.As(err, &soon) || try == deliverTries {
			return err
		}
		if !sleep(ctx, min(max(f.backoff.wait(try), soon.after), 2*f.backoff.most)) {
			return err
		}
	}
}

func (f *fetcher) putOnce(ctx context.Context, url string, document []byte) error {
	ctx, cancel := context.WithTimeout(ctx, deliverTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, url, bytes.NewReader(document))
	if err != nil {
		return errors.New("not a URL")
	}
	if err := outbound.CheckURL(req.URL); err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "runnerbean")
	answer, err := f.client.Do(req)
	if err != nil {
		return dialFault(err)
	}
	defer answer.Body.Close()
	// What is left unread would keep the connection from being used again.
	if _, err := io.CopyN(io.Discard, answer.Body, 64<<10); err != nil && !errors.Is(err, io.EOF) {
		return &passing{err: outbound.WithoutURL(err)}
	}
	switch {
	case answer.Request.Method != http.MethodPut:
		return errors.New("the server redirected it to a page, and did not take it")
	case answer.StatusCode/100 == 2:
		return nil
	case outbound.TransientStatus(answer.StatusCode):
		return &passing{err: fmt.Errorf("the server answered %s", clean(answer.Status, 100))}
	}
	return fmt.Errorf("the server answered %s", clean(answer.Status, 100))
}
