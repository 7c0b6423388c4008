package batch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/runnerbean/runnerbean/internal/jobdoc"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
)

// framesPointer is where a batch names its frames.
const framesPointer = "/input/data/frames"

// lostFile is the error of a batch whose frames are in a file that the store does not have whole.
type lostFile struct{ sha256, why string }

func (l *lostFile) Error() string {
	return "the frames cannot be read: the file with the SHA-256 " + l.sha256 + " " + l.why + "; submit a batch with the file, and retry this one"
}

// framesFile returns the text of a file of a package that has the frames. A damaged object is
// dropped, so that the file can be sent again. The error is a [*jobs.Fault] or a *lostFile if
// another try would find the same.
func framesFile(ctx context.Context, cfg *Config, digest string) ([]byte, error) {
	file, found, err := cfg.Ledger.Packages.Find(ctx, digest)
	switch {
	case err != nil:
		return nil, err
	case !found:
		return nil, &lostFile{digest, "is not in the store"}
	case file.Size > jobdoc.MaxFrames:
		return nil, &jobs.Fault{Pointer: framesPointer, Message: fmt.Sprintf("input.data.frames must name a file of at most %d bytes, not %d", jobdoc.MaxFrames, file.Size)}
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
