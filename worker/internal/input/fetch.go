package input

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/runnerbean/runnerbean/internal/bytesize"
	"github.com/runnerbean/runnerbean/internal/inputurl"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/packages"
	"github.com/runnerbean/runnerbean/internal/logtext"
	"github.com/runnerbean/runnerbean/internal/outbound"
	"github.com/runnerbean/runnerbean/internal/published"
	"github.com/runnerbean/runnerbean/internal/retry"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/worker/internal/fault"
)

const (
	// fetchTries is how often an attempt asks for one input while the errors are
	// temporary. After that, or if the server asks to wait longer than fetchWait, the
	// job waits in the queue.
	fetchTries = 3
	fetchWait  = 2 * time.Second
	// maxRetryAfter bounds the wait that a server may ask for.
	maxRetryAfter = 6 * time.Hour
	// maxWithSchema is the largest input that is checked against a schema: all of it is in
	// memory then.
	maxWithSchema = 64 << 20
	// maxChecked bounds the inputs of all attempts that are read from files into memory at
	// the same time to be checked, in bytes.
	maxChecked = 4 * maxWithSchema
)

// Jobs reads the records of jobs; *ledger.Ledger implements it.
type Jobs interface {
	Get(ctx context.Context, id string) (ledger.Record, error)
}

// Results opens the results of jobs; *published.Results implements it.
type Results interface {
	Open(ctx context.Context, job string) (published.Document, error)
}

// Objects opens artifacts; *store.Store implements it.
type Objects interface {
	Open(ctx context.Context, key string) (*store.Object, error)
}

// Packages finds files of packages; *packages.Packages implements it.
type Packages interface {
	Find(ctx context.Context, sha256 string) (f packages.File, found bool, err error)
	// Drop has a file sent again whose object is damaged.
	Drop(ctx context.Context, f packages.File) error
}

// Config of a Fetcher. All fields are required.
type Config struct {
	Client *http.Client // the caller closes its idle connections
	// Timeout of the fetch of one input, tries included.
	Timeout time.Duration
	// Backoff between two tries.
	Backoff retry.Backoff
	// MaxInput bounds an input, and MaxFiles the files of one job together, in bytes.
	MaxInput, MaxFiles int64
	// Jobs, Results and Objects have what needed jobs have left.
	Jobs    Jobs
	Results Results
	Objects Objects
	// Packages knows the files of packages, which are in Objects.
	Packages Packages
}

// Fetcher fetches inputs. Several attempts may use it at the same time.
type Fetcher struct {
	cfg    Config
	checks *semaphore.Weighted // bytes of inputs in memory, of maxChecked
}

// NewFetcher returns a Fetcher.
func NewFetcher(cfg Config) *Fetcher {
	return &Fetcher{cfg: cfg, checks: semaphore.NewWeighted(maxChecked)}
}

// sink takes what is fetched. reset makes it empty before each try.
type sink interface {
	io.Writer
	reset() error
}

// source is one thing to fetch.
type source struct {
	url, sha256 string
	size        int64 // in bytes; -1 if unknown
	limit       int64 // of the size
}

// fetch writes src to dst. Its errors name the URL without its query.
func (f *Fetcher) fetch(ctx context.Context, src source, dst sink) (jobs.Source, error) {
	ctx, cancel := context.WithTimeout(ctx, f.cfg.Timeout)
	defer cancel()
	for try := 1; ; try++ {
		got, err := f.once(ctx, src, dst)
		soon := temporary(err)
		if soon == nil {
			return got, src.wrap(err, try)
		}
		if ctx.Err() != nil {
			return got, src.wrap(&fault.Temporary{Err: fmt.Errorf("it did not come within %s", f.cfg.Timeout)}, try)
		}
		if try == fetchTries || soon.After > fetchWait || !retry.Sleep(ctx, max(f.cfg.Backoff.Wait(try), soon.After)) {
			return got, src.wrap(err, try)
		}
	}
}

// wrap adds the URL and the number of tries to an error.
func (s source) wrap(err error, tries int) error {
	if err == nil {
		return nil
	}
	if tries > 1 {
		return fmt.Errorf("%s: %w (tried %d times)", outbound.Redact(s.url), err, tries)
	}
	return fmt.Errorf("%s: %w", outbound.Redact(s.url), err)
}

// once tries to fetch src once.
func (f *Fetcher) once(ctx context.Context, src source, dst sink) (jobs.Source, error) {
	if digest, ok := inputurl.Stored(src.url); ok {
		return f.stored(ctx, src, digest, dst)
	}
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
	answer, err := f.cfg.Client.Do(req)
	if err != nil {
		return jobs.Source{}, dialError(err)
	}
	defer answer.Body.Close()
	if err := statusError(answer); err != nil {
		return jobs.Source{}, err
	}
	return src.receive(answer, dst)
}

// stored copies a file of a package from the store to dst. A damaged object is dropped, so that
// the file can be sent again.
func (f *Fetcher) stored(ctx context.Context, src source, digest string, dst sink) (jobs.Source, error) {
	got := jobs.Source{URL: src.url}
	if src.sha256 != "" && src.sha256 != digest {
		return got, fmt.Errorf("the job says that its SHA-256 is %s", src.sha256)
	}
	file, found, err := f.cfg.Packages.Find(ctx, digest)
	switch {
	case err != nil:
		return got, &fault.Temporary{Err: err}
	case !found:
		return got, errors.New("it is not in the store; submit a package with the file, and retry the job")
	case file.Size > src.limit:
		return got, src.tooLarge()
	case src.size >= 0 && file.Size != src.size:
		return got, fmt.Errorf("it is %d bytes long, and the job says %d", file.Size, src.size)
	}
	object, err := f.cfg.Objects.Open(ctx, store.PackageKey(file.SHA256, file.Number))
	if errors.Is(err, fs.ErrNotExist) {
		err = errors.New("it is missing from the store")
	}
	if err != nil {
		return got, &fault.Temporary{Err: err}
	}
	defer object.Close()
	if err := dst.reset(); err != nil {
		return got, &local{err}
	}
	sum := sha256.New()
	if object.Size == file.Size {
		if got.Size, err = src.copy(dst, sum, object); err != nil {
			return got, storeError(err)
		}
	}
	if got.SHA256 = hex.EncodeToString(sum.Sum(nil)); got.SHA256 != digest {
		err := errors.New("it is damaged in the store; submit a package with the file, and retry the job")
		return got, errors.Join(err, f.cfg.Packages.Drop(ctx, file))
	}
	return got, nil
}

// storeError returns an error of a copy: what the store does now it may not do later.
func storeError(err error) error {
	if _, here := errors.AsType[*local](err); here || temporary(err) != nil {
		return err
	}
	return &fault.Temporary{Err: err}
}

// dialError returns an error of net/http in readable form. It is a *fault.Temporary if
// it may be over later.
func dialError(err error) error {
	err = outbound.WithoutURL(err)
	switch {
	case outbound.Transient(err):
		return &fault.Temporary{Err: err}
	case outbound.ItselfForbidden(err):
		return fmt.Errorf("%w; put the result of another job into input.data", err)
	}
	return err
}

// statusError returns an error for an answer that is not 200.
func statusError(answer *http.Response) error {
	switch {
	case answer.StatusCode == http.StatusOK:
		return nil
	case outbound.TransientStatus(answer.StatusCode):
		return &fault.Temporary{
			Err:  fmt.Errorf("the server answered %s", logtext.Clean(answer.Status, 100)),
			Host: logtext.Clean(answer.Request.URL.Host, 100), After: outbound.RetryAfter(answer.Header, time.Now(), maxRetryAfter),
		}
	}
	return fmt.Errorf("the server answered %s", logtext.Clean(answer.Status, 100))
}

// receive copies an answer to dst and checks its size and digest.
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

// asDecoded adds to a message that size and digest are those of the decoded answer.
func asDecoded(answer *http.Response) string {
	if answer.Uncompressed {
		return " once its Content-Encoding is decoded"
	}
	return ""
}

// local is an error of this node while it stores what it fetches.
type local struct{ error }

func (l *local) Unwrap() error { return l.error }

// copy copies body to dst and digest, and returns the number of bytes.
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
			return n, &fault.Temporary{Err: fmt.Errorf("broken off after %d bytes: %w", n, err)}
		}
	}
}

func (s source) tooLarge() error {
	return fmt.Errorf("it is larger than %s", bytesize.Size(s.limit))
}

// temporary returns the part of err that may be over later; nil if err is final.
func temporary(err error) *fault.Temporary {
	t, _ := errors.AsType[*fault.Temporary](err)
	return t
}
