package batch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"golang.org/x/sync/semaphore"

	"github.com/runnerbean/runnerbean/internal/jobdoc"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
)

// framesPointer is where a batch names its frames.
const framesPointer = "/input/data/frames"

// maxHeld bounds the files with frames of all batches that run on a node, in bytes: a batch has
// several times the size of its file in memory.
const maxHeld = 4 * jobdoc.MaxFrames

// held is the room that a batch takes for the file with its frames.
type held struct {
	room *semaphore.Weighted // of the node, in bytes
	size int64
}

// take waits until there is room, unless it was taken before.
func (h *held) take(ctx context.Context, size int64) error {
	if h.size > 0 {
		return nil
	}
	if err := h.room.Acquire(ctx, size); err != nil {
		return fmt.Errorf("other batches with frames in files take the memory of the node: %w", err)
	}
	h.size = size
	return nil
}

// release gives the room back.
func (h *held) release() {
	h.room.Release(h.size)
	h.size = 0
}

// lostFile is the error of a batch whose frames are in a file that the store does not have whole.
type lostFile struct{ sha256, why string }

func (l *lostFile) Error() string {
	return "the frames cannot be read: the file with the SHA-256 " + l.sha256 + " " + l.why + "; submit a batch with the file, and retry this one"
}

// framesFile returns the text of a file of a package that has the frames. A damaged object is
// dropped, so that the file can be sent again. It waits until there is room. The error is a [*jobs.Fault] or a *lostFile if
// another try would find the same.
func framesFile(ctx context.Context, cfg *Config, digest string, h *held) ([]byte, error) {
	file, found, err := cfg.Ledger.Packages.Find(ctx, digest)
	switch {
	case err != nil:
		return nil, err
	case !found:
		return nil, &lostFile{digest, "is not in the store"}
	case file.Size > jobdoc.MaxFrames:
		return nil, &jobs.Fault{Pointer: framesPointer, Message: fmt.Sprintf("input.data.frames must name a file of at most %d bytes, not %d", jobdoc.MaxFrames, file.Size)}
	}
	if err := h.take(ctx, file.Size); err != nil {
		return nil, err
	}
	text, err := readObject(ctx, cfg.Store, store.PackageKey(file.SHA256, file.Number))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if sum := sha256.Sum256(text); err != nil || hex.EncodeToString(sum[:]) != digest {
		if err := cfg.Ledger.Packages.Drop(ctx, file); err != nil {
			return nil, err
		}
		return nil, &lostFile{digest, "is damaged or missing in the store"}
	}
	return text, nil
}

// readObject reads up to jobdoc.MaxFrames bytes of an object.
func readObject(ctx context.Context, s *store.Store, key string) (text []byte, err error) {
	object, err := s.Open(ctx, key)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, object.Close()) }()
	return io.ReadAll(io.LimitReader(object, jobdoc.MaxFrames))
}
