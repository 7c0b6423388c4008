package worker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/runnerbean/runnerbean/internal/outbound"
	"github.com/runnerbean/runnerbean/jobs"
)

const (
	// fetchTries is how often one input is asked for in an attempt while its server
	// has passing faults. Where it asks to wait longer than fetchWait, or all tries
	// are in vain, the job waits in the queue.
	fetchTries = 3
	fetchWait  = 2 * time.Second
)

// fetcher gets inputs from elsewhere.
type fetcher struct {
	client  *http.Client
	timeout time.Duration
	backoff backoff
}

// sink takes what is fetched. Each try starts it anew.
type sink interface {
	io.Writer
	reset() error
}

// source is one thing to fetch.
type source struct {
	url, sha256 string
	size        int64 // -1 where it is not known
	limit       int64
}

// fetch writes src to dst. Its errors name the URL without its query.
func (f *fetcher) fetch(ctx context.Context, src source, dst sink) (jobs.Source, error) {
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	for try := 1; ; try++ {
		got, err := f.once(ctx, src, dst)
		var soon *passing
		if err == nil || !errors.As(err, &soon) {
			return got, src.wrap(err, try)
		}
		if ctx.Err() != nil {
			return got, src.wrap(&passing{err: fmt.Errorf("it did not come within %s", f.timeout)}, try)
		}
		if try == fetchTries || soon.after > fetchWait || !sleep(ctx, max(f.backoff.wait(try), soon.after)) {
			return got, src.wrap(err, try)
		}
	}
}

func (s source) wrap(err error, tries int) error {
	if err == nil {
		return nil
	}
	if tries > 1 {
		return fmt.Errorf("%s: %w (tried %d times)", outbound.Redact(s.url), err, tries)
	}
	return fmt.Errorf("%s: %w", outbound.Redact(s.url), err)
}

func (f *fetcher) once(ctx context.Context, src source, dst sink) (jobs.Source, error) {
	u, err := url.Parse(src.url)
	if err != nil {
		return jobs.Source{}, errors.New("not a URL")
	}
	if err := outbound.CheckURL(u); err != nil {
		return jobs.Source{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, src.url, nil)
	if err != nil {
		return jobs.Source{}, errors.New("not a URL")
	}
	req.Header.Set("User-Agent", "runnerbean")
	answer, err := f.client.Do(req)
	if err != nil {
		return jobs.Source{}, dialFault(err)
	}
	defer answer.Body.Close()
	if err := statusFault(answer); err != nil {
		return jobs.Source{}, err
	}
	return src.receive(answer, dst)
}

// dialFault makes an error of net/http readable, and says if it may pass.
func dialFault(err error) error {
	err = outbound.WithoutURL(err)
	switch {
	case outbound.Transient(err):
		return &passing{err: err}
	case outbound.ItselfForbidden(err):
		return fmt.Errorf("%w; put the result of another job into input.data", err)
	}
	return err
}

func statusFault(answer *http.Response) error {
	switch {
	case answer.StatusCode == http.StatusOK:
		return nil
	case outbound.TransientStatus(answer.StatusCode):
		return &passing{
			err:  fmt.Errorf("the server answered %s", clean(answer.Status, 100)),
			host: clean(answer.Request.URL.Host, 100), after: outbound.RetryAfter(answer.Header, time.Now(), maxRetryAfter),
		}
	}
	return fmt.Errorf("the server answered %s", clean(answer.Status, 100))
}

// receive copies an answer into dst within the bounds of src.
func (s source) receive(answer *http.Response, dst sink) (jobs.Source, error) {
	got := jobs.Source{URL: outbound.Redact(s.url)}
	if answer.ContentLength > s.limit {
		return got, s.tooLarge()
	}
	if err := dst.reset(); err != nil {
		return got, &local{err}
	}
	digest := sha256.New()
	n, err := s.copy(dst, digest, answer.Body)
	if err != nil {
		return got, err
	}
	if s.size >= 0 && n != s.size {
		return got, fmt.Errorf("it is %d bytes long%s, and the job says %d", n, asDecoded(answer), s.size)
	}
	got.Size, got.SHA256 = n, hex.EncodeToString(digest.Sum(nil))
	if s.sha256 != "" && got.SHA256 != s.sha256 {
		return got, fmt.Errorf("its SHA-256%s is %s, and the job says %s", asDecoded(answer), got.SHA256, s.sha256)
	}
	if t, err := http.ParseTime(answer.Header.Get("Last-Modified")); err == nil {
		got.LastModified = t.UTC()
	}
	return got, nil
}

// asDecoded says that size and digest are not those of the bytes that were sent.
func asDecoded(answer *http.Response) string {
	if answer.Uncompressed {
		return " once its Content-Encoding is decoded"
	}
	return ""
}

// local is a fault of this node while it stores what it fetches.
type local struct{ error }

func (l *local) Unwrap() error { return l.error }

func (s source) copy(dst io.Writer, digest hash.Hash, body io.Reader) (int64, error) {
	buf := make([]byte, 64<<10)
	var n int64
	for {
		k, err := body.Read(buf)
		if n += int64(k); n > s.limit {
			return n, s.tooLarge()
		}
		digest.Write(buf[:k])
		if _, err := dst.Write(buf[:k]); err != nil {
			return n, &local{err}
		}
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil && !outbound.Transient(err) && !errors.Is(err, context.Canceled) {
			return n, err
		}
		if err != nil {
			return n, &passing{err: fmt.Errorf("broken off after %d bytes: %w", n, err)}
		}
	}
}

func (s source) tooLarge() error {
	return fmt.Errorf("it is larger than %s", Size(s.limit))
}
