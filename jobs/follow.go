package jobs

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"mime"
	"net/http"
	"net/url"
	"reflect"
	"time"

	"github.com/tmaxmax/go-sse"
)

const (
	// maxEvent bounds one event in bytes; the parser's time grows with the
	// square of it. A state that is larger is polled.
	maxEvent = 1 << 20
	// firstEvent is how soon the first event must come. If it does not, a proxy
	// buffers the stream.
	firstEvent = 10 * time.Second
	// maxStreams is how many streams in a row may end without an event.
	maxStreams = 3
)

var (
	errNoStream    = errors.New("no event stream to be had")
	errStreamEnded = errors.New("event stream ended")
	// errLeftOut is for a large result, which is not in its event but at its URL.
	errLeftOut = errors.New("result left out of its event")
)

// Follow yields the states of the job whose result is at url: the present one, then
// each change, until one is final. It reads the node's Server-Sent Events,
// reconnects, and polls if there are none. It retries while the network or the
// server is away, so give ctx a deadline or break out of the loop. A lasting error,
// or the end of ctx, is yielded once, as the last. It leaves out documents that are
// older than what it has yielded: a cache may still have them.
func (c *Client) Follow(ctx context.Context, url string) iter.Seq2[Result, error] {
	return func(yield func(Result, error) bool) {
		f, err := c.follower(url, yield)
		if err == nil {
			err = f.run(ctx)
		}
		if err != nil {
			yield(Result{}, err)
		}
	}
}

// follower is one Follow under way.
type follower struct {
	poller *poller
	events string // URL of the stream
	yield  func(Result, error) bool
	last   Result // yielded
	newest Result // seen, also if it was not yielded
	// outdated is since when only older documents come; zero if the last was not.
	outdated time.Time
	// done is set after a final state and when the caller breaks out of the loop.
	done bool
	// polling is set once streams have proved useless. silent counts the streams in
	// a row without an event.
	polling bool
	silent  int
}

func (c *Client) follower(result string, yield func(Result, error) bool) (*follower, error) {
	w, err := c.newPoller(result)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(result)
	if err != nil {
		return nil, w.wrap(err)
	}
	return &follower{poller: w, events: u.JoinPath("events").String(), yield: yield}, nil
}

func (f *follower) run(ctx context.Context) error {
	for !f.done {
		step := f.listen
		if f.polling {
			step = f.poll
		}
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// poll asks for the state once. The server may delay later answers until the state
// changes.
func (f *follower) poll(ctx context.Context) error {
	res, err := f.poller.next(ctx)
	if err == nil {
		f.poller.hold = holdFor
		if f.isNews(res) {
			f.emit(res)
		}
	}
	return err
}

// listen reads one stream to its end and decides how to go on.
func (f *follower) listen(ctx context.Context) error {
	if err := f.poller.pause(ctx); err != nil {
		return err
	}
	f.silent++ // until there is an event
	err := f.stream(ctx)
	if f.done {
		return nil
	}
	switch {
	case errors.Is(err, errNoStream), errors.Is(err, errLeftOut), errors.Is(err, bufio.ErrTooLong), f.silent >= maxStreams,
		errors.Is(err, errIdle) && f.last.State == "":
		f.polling = true
		return f.poller.ended(ctx)
	case isStatus(err, http.StatusNotFound):
		return f.notFound(ctx)
	}
	return f.poller.failed(ctx, err, 0)
}

// notFound distinguishes a job that is not known yet from a server without streams.
func (f *follower) notFound(ctx context.Context) error {
	a, err := f.poller.c.get(ctx, f.poller.url, 0)
	if err != nil {
		f.silent--
		return f.poller.failed(ctx, err, a.retryAfter)
	}
	f.poller.succeeded()
	if f.isNews(a.result) {
		f.emit(a.result)
	}
	return nil
}

// stream reads one stream to its end. The error says why it ended, and is nil only
// after a final state.
func (f *follower) stream(ctx context.Context) error {
	header := http.Header{"Accept": {"text/event-stream"}, "Cache-Control": {"no-store"}}
	resp, err := f.poller.c.open(ctx, f.events, header, min(firstEvent, f.poller.c.cfg.Idle))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := streamError(resp); err != nil {
		return err
	}
	for event, err := range sse.Read(resp.Body, &sse.ReadConfig{MaxEventSize: maxEvent}) {
		if err != nil {
			return err
		}
		if err := f.event(event); err != nil || f.done {
			return err
		}
		resp.Body.(*idleBody).allow(f.poller.c.cfg.Idle)
	}
	return errStreamEnded
}

// streamError returns an error for an answer that is not a stream.
func streamError(resp *http.Response) error {
	if resp.StatusCode != http.StatusOK {
		p := problem(resp)
		if temporary(p) || p.Status == http.StatusNotFound {
			return p
		}
		return fmt.Errorf("%w: %w", errNoStream, p)
	}
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if kind != "text/event-stream" {
		return errNoStream
	}
	return nil
}

// event handles one event. It ignores all types but "state".
func (f *follower) event(e sse.Event) error {
	if e.Type != "state" {
		return nil
	}
	res, err := parseResult([]byte(e.Data))
	if err != nil {
		// The end of a stream may cut an event in two.
		return fmt.Errorf("%w: %v", io.ErrUnexpectedEOF, err)
	}
	if !f.isNews(res) {
		return nil
	}
	f.silent = 0
	f.poller.succeeded()
	if res.State == Succeeded && res.Result == nil {
		return errLeftOut
	}
	signFiles(res.Artifacts, f.poller.url)
	f.emit(res)
	return nil
}

// isNews notes a document and reports whether it is not older than those before. Clocks
// of nodes may differ, so a final state is believed once it has been repeated for as
// long as a new job may be unknown.
func (f *follower) isNews(res Result) bool {
	if isOlder(res, f.newest) {
		if f.outdated.IsZero() {
			f.outdated = time.Now()
		}
		if !res.State.Final() || time.Since(f.outdated) < f.poller.c.cfg.Grace {
			return false
		}
	}
	f.newest, f.outdated = res, time.Time{}
	return true
}

// emit yields a state unless it is the same as the one before.
func (f *follower) emit(res Result) {
	if sameState(f.last, res) {
		return
	}
	f.last = res
	f.done = !f.yield(res, nil) || res.State.Final()
}

// isOlder reports whether document a was made before b. A success is the last state, and
// its document may have an earlier attempt and time than that of the run which found it.
// A person's retry goes back to queued at a later time. A later attempt, and the end of a
// running one, come later whatever the clocks of two nodes say.
func isOlder(a, b Result) bool {
	switch {
	case a.State == Succeeded || b.State == Succeeded:
		return a.State != Succeeded
	case a.Timestamp.After(b.Timestamp), a.Attempt > b.Attempt:
		return false
	case a.Attempt < b.Attempt:
		return true
	}
	ended := b.State == Running && a.State.Final()
	return a.Timestamp.Before(b.Timestamp) && !ended
}

// sameState compares two results without their Timestamp.
func sameState(a, b Result) bool {
	a.Timestamp, b.Timestamp = time.Time{}, time.Time{}
	return reflect.DeepEqual(a, b)
}
