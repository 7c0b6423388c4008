// Package bucket keeps objects in a bucket of an S3-compatible server. An object is created
// only if it is absent, by a conditional put, and is there as a whole or not at all.
package bucket

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/runnerbean/runnerbean/internal/retry"
)

const (
	// tries bounds how often a request is sent that fails for a reason that may pass. The
	// waits between them are up to 25 s together.
	tries = 12
	// readTime is the time within which a read is tried again: somebody waits for it.
	readTime = 4 * time.Second
	// largeAtOnce bounds the large objects that are sent at once: each has a buffer of partSize.
	largeAtOnce = 4
)

// ErrAway is returned if the server does not answer, or not with what was asked for. The same
// operation may succeed later.
var ErrAway = errors.New("the bucket does not answer")

// Bucket is a bucket and a prefix in it. Its methods may be called at the same time.
type Bucket struct {
	Location Location

	client    minio.Core
	transport *http.Transport
	backoff   retry.Backoff
	large     chan struct{} // one for each large object that is being sent
}

// Look returns the bucket without a request. The caller closes it.
func Look(l Location) (*Bucket, error) {
	b := &Bucket{Location: l, transport: newTransport(), backoff: retry.Backoff{Base: 50 * time.Millisecond, Max: 5 * time.Second}, large: make(chan struct{}, largeAtOnce)}
	keys := credentials.NewChainCredentials([]credentials.Provider{
		&credentials.EnvAWS{}, &credentials.FileAWSCredentials{}, &credentials.IAM{Client: &http.Client{Timeout: 5 * time.Second}},
	})
	client, err := minio.NewCore(l.Endpoint, &minio.Options{
		Creds: keys, Secure: l.Secure, Region: l.Region, Transport: b.transport, TrailingHeaders: true,
		MaxRetries: 1, // what is tried again must know that it is
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", l, err)
	}
	b.client = *client
	return b, nil
}

// Explain says what to do about a fault that does not pass.
func (b *Bucket) Explain(err error) error { return explain(b.Location, err) }

// Close closes idle connections. Open objects stay open.
func (b *Bucket) Close() error {
	b.transport.CloseIdleConnections()
	return nil
}

// read is try with less patience.
func (b *Bucket) read(ctx context.Context, what string, send func() error) error {
	return b.tryFor(ctx, what, readTime, send)
}

// try sends a request until it succeeds, fails for good, or has failed too often.
func (b *Bucket) try(ctx context.Context, what string, send func() error) error {
	return b.tryFor(ctx, what, math.MaxInt64, send)
}

func (b *Bucket) tryFor(ctx context.Context, what string, limit time.Duration, send func() error) error {
	began := time.Now()
	for n := 1; ; n++ {
		err := send()
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case !passes(err):
			if answer(err).StatusCode == http.StatusForbidden { // which of its rights the key lacks
				err = fmt.Errorf("%s: %w", what, err)
			}
			return err
		}
		wait := b.backoff.Wait(n)
		if n == tries || time.Since(began)+wait > limit {
			return fmt.Errorf("%w: %w", ErrAway, err)
		}
		slog.DebugContext(ctx, "a request to the bucket is sent again", "what", what, "try", n, "err", err)
		if !retry.Sleep(ctx, wait) {
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
	}
}

func (b *Bucket) name(key string) string { return b.Location.Prefix + key }
