// Package packages receives the tars of batches, and puts their files into the store.
package packages

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/runnerbean/runnerbean/internal/batchtar"
	"github.com/runnerbean/runnerbean/internal/ledger/packages"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

const (
	// maxAtOnce is how many packages a node receives at the same time.
	maxAtOnce = 4
	// longest is how long one may take: files that came first are kept for longer.
	longest = packages.Grace / 2
	// roomStep is how much is written between two looks at the room on the disks, in bytes.
	roomStep = 64 << 20
	// recordTries is how often a file is stored that is removed meanwhile.
	recordTries = 3
)

// Files records files in the store; *packages.Packages implements it.
type Files interface {
	Begin(ctx context.Context, sha256 string) (f packages.File, have bool, err error)
	Record(ctx context.Context, f packages.File) (ok bool, err error)
}

// Objects makes objects; *store.Store implements it.
type Objects interface {
	CreateFrom(ctx context.Context, key string, r io.Reader) (n int64, err error)
}

// Config of a Receiver. All fields are required.
type Config struct {
	Files   Files
	Objects Objects
	// Folder is where one file of each package is until its digest is known, without a name.
	Folder string
	// Room returns why no more may be written to the disks of the node, or nil.
	Room func() error
}

// Receiver receives packages.
type Receiver struct {
	cfg  Config
	busy chan struct{} // has an element for each package that is received now
}

// New returns a Receiver.
func New(cfg Config) *Receiver { return &Receiver{cfg, make(chan struct{}, maxAtOnce)} }

// Receive reads a tar, puts its files into the store, and returns the batch with their digests. A
// file that the store has already is not stored again. The error is a *[batchtar.Refused], a
// [*jobs.Fault], that of the reader, or one that ends by itself. The files that came before it
// stay in the store for a day, for another try.
func (r *Receiver) Receive(ctx context.Context, from io.Reader) (batch []byte, err error) {
	select {
	case r.busy <- struct{}{}:
		defer func() { <-r.busy }()
	default:
		return nil, httpio.Unavailable(fmt.Sprintf("the node receives %d packages already: try again later", maxAtOnce))
	}
	ctx, cancel := context.WithTimeoutCause(ctx, longest, httpio.Unavailable("the package did not come within "+longest.String()))
	defer cancel()
	if err := r.cfg.Room(); err != nil {
		return nil, err
	}
	spool, err := r.spool()
	if err != nil {
		return nil, full(err)
	}
	defer func() { err = errors.Join(err, spool.Close()) }()
	found, err := batchtar.Read(ctx, from, func(_ string, _ int64, file io.Reader) (string, error) {
		return r.keep(ctx, spool, file)
	})
	if err != nil {
		return nil, err
	}
	return found.Whole()
}

// spool makes a file that has no name, so that it is gone with the node.
func (r *Receiver) spool() (*os.File, error) {
	f, err := os.CreateTemp(r.cfg.Folder, "package-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// keep puts a file into the store, unless it is there, and returns its digest.
func (r *Receiver) keep(ctx context.Context, spool *os.File, file io.Reader) (digest string, err error) {
	if err := rewind(spool); err != nil {
		return "", err
	}
	if err := spool.Truncate(0); err != nil {
		return "", err
	}
	sum := sha256.New()
	if err := r.copy(io.MultiWriter(spool, sum), file); err != nil {
		return "", err
	}
	digest = hex.EncodeToString(sum.Sum(nil))
	for range recordTries {
		f, have, err := r.cfg.Files.Begin(ctx, digest)
		if err != nil || have {
			return digest, err
		}
		if f.Size, err = spool.Seek(0, io.SeekCurrent); err != nil {
			return "", err
		}
		if err := r.store(ctx, f, spool); err != nil {
			return "", full(err)
		}
		if ok, err := r.cfg.Files.Record(ctx, f); err != nil || ok {
			return digest, err
		}
	}
	return "", httpio.Unavailable("a file of the package was removed while it came: try again")
}

// copy copies a file as long as there is room.
func (r *Receiver) copy(to io.Writer, file io.Reader) error {
	for {
		n, err := io.CopyN(to, file, roomStep)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return full(err)
		case n == roomStep:
			if err := r.cfg.Room(); err != nil {
				return err
			}
		}
	}
}

// store makes the object of a file, unless somebody else does. The spool is at its end then.
func (r *Receiver) store(ctx context.Context, f packages.File, spool *os.File) error {
	if err := rewind(spool); err != nil {
		return err
	}
	_, err := r.cfg.Objects.CreateFrom(ctx, store.PackageKey(f.SHA256, f.Number), spool)
	if errors.Is(err, store.ErrExists) {
		_, err = spool.Seek(0, io.SeekEnd)
	}
	return err
}

func rewind(f *os.File) error {
	_, err := f.Seek(0, io.SeekStart)
	return err
}

// full returns an error that ends by itself where a disk is full.
func full(err error) error {
	if errors.Is(err, store.ErrFull) || errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return httpio.Unavailable("the disk of the node or the store is full: try again later")
	}
	return err
}
