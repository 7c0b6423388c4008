// Package published opens the results of jobs where they are: small ones in the ledger,
// larger ones in the store.
package published

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/results"
	"github.com/runnerbean/runnerbean/internal/store"
)

// Results are the results in a ledger and its store.
type Results struct {
	ledger *results.Results
	store  *store.Store
}

// New returns the results in a ledger and its store.
func New(l *results.Results, s *store.Store) *Results { return &Results{ledger: l, store: s} }

// Document is the result document of a job, from its first byte.
type Document struct {
	io.ReadCloser
	Size    int64 // bytes
	ModTime time.Time
	// Bytes is the document, or nil if it is read from the store. It must not be changed.
	Bytes []byte
}

// Open opens the result of a job; the caller closes it. A result in the ledger counts
// before one in the store, because only the ledger says which attempt has ended the job.
// It returns [store.ErrNotExist] if neither has one.
func (r *Results) Open(ctx context.Context, job string) (Document, error) {
	small, found, err := r.ledger.Get(ctx, job)
	if err != nil {
		return Document{}, err
	}
	if found {
		return Document{io.NopCloser(bytes.NewReader(small.Document)), int64(len(small.Document)), small.At, small.Document}, nil
	}
	o, err := r.store.Open(ctx, store.ResultKey(job))
	if err != nil {
		return Document{}, err
	}
	return Document{o, o.Size, o.ModTime, nil}, nil
}

// Exists reports whether the ledger or the store has the result of a job. lookable is
// asked before the store is: its error says why the store has no answer.
func (r *Results) Exists(ctx context.Context, job string, lookable func(context.Context) error) (bool, error) {
	if _, found, err := r.ledger.Size(ctx, job); found || err != nil {
		return found, err
	}
	if err := lookable(ctx); err != nil {
		return false, err
	}
	object, err := r.store.Open(ctx, store.ResultKey(job))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, object.Close()
}
