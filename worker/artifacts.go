package worker

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	stdjson "encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/url"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
)

const (
	// maxLost is how many attempts in a row dropOutput looks at.
	maxLost = 10
	// maxOutputList is the size in bytes of the largest list of files.
	maxOutputList = 8 << 20
)

// artifacts stores the files in out/, for a result.
func (a *attempt) artifacts(ctx context.Context) (*outFolder, error) {
	out := &outFolder{attempt: a, strict: true, room: a.cfg.MaxFiles, at: a.fileURL}
	return out, out.collect(ctx)
}

// keepOutput stores the files in out/ of an attempt that is not a success, as
// far as they are within the limits, and a list of them. What is interrupted runs
// again and leaves nothing.
func (a *attempt) keepOutput(ctx context.Context, end error) {
	var f *fault
	if a.exit == nil || !errors.As(end, &f) || f.outcome == jobs.OutcomeInterrupted {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	out := &outFolder{attempt: a, room: a.cfg.MaxFiles, at: func(name string) string {
		return a.fileURL(name) + "?attempt=" + strconv.Itoa(a.record.Attempt)
	}}
	if err := out.collect(ctx); err != nil {
		a.logger.Warn("files that a program left are not kept", "err", err)
	}
	if len(out.list)+len(out.left) == 0 {
		return
	}
	list, err := marshal(jobs.Output{Attempt: a.record.Attempt, Artifacts: out.list, LeftOut: out.leftOut()})
	if err == nil {
		err = a.cfg.Store.Replace(ctx, store.OutputKey(a.record.ID, a.record.Attempt), list)
	}
	if err != nil {
		a.logger.Warn("files that a program left are not kept", "err", err)
		a.drop(context.WithoutCancel(ctx), a.stored)
	}
}

// dropOutput removes the files of earlier attempts but the newest few. An attempt
// whose node died has removed none, so it looks further back.
func (a *attempt) dropOutput(ctx context.Context) {
	last := a.record.Attempt - jobs.MaxOutputs
	for n := last; n > 0 && n > last-maxLost; n-- {
		key := store.OutputKey(a.record.ID, n)
		object, err := a.cfg.Store.Open(ctx, key)
		if err != nil {
			continue
		}
		var old jobs.Output
		err = stdjson.NewDecoder(io.LimitReader(object, maxOutputList)).Decode(&old)
		_ = object.Close()
		if err != nil {
			a.logger.Warn("a list of files cannot be read; they stay", "key", key, "err", err)
			continue
		}
		keys := make([]string, 0, len(old.Artifacts)+1)
		for _, file := range old.Artifacts {
			keys = append(keys, store.FileKey(a.record.ID, n, file.Name))
		}
		a.drop(ctx, append(keys, key)) // the list last: killed before, it is found again
	}
}

// fileURL is where a file of the job is served.
func (a *attempt) fileURL(name string) string {
	parts := strings.Split(name, "/")
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	return a.publicURL() + "/files/" + strings.Join(parts, "/")
}

// storeArtifact stores one file, of at most room bytes.
func (a *attempt) storeArtifact(ctx context.Context, f *os.File, one *jobs.Artifact, room int64) error {
	key := store.FileKey(a.record.ID, a.record.Attempt, one.Name)
	err := a.persist(ctx, func() error {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return err
		}
		digest := sha256.New()
		n, err := a.cfg.Store.CreateFrom(ctx, key, io.TeeReader(store.Bounded(f, room), digest))
		one.Size, one.SHA256 = n, hex.EncodeToString(digest.Sum(nil))
		return err
	})
	if errors.Is(err, fs.ErrExist) {
		err = a.storedBefore(ctx, f, key, one)
	}
	if err == nil {
		a.stored = append(a.stored, key)
	}
	return err
}

// storedBefore is for a file that a try which seemed to fail has stored all the
// same.
func (a *attempt) storedBefore(ctx context.Context, f *os.File, key string, one *jobs.Artifact) error {
	object, err := a.cfg.Store.Open(ctx, key)
	if err != nil {
		return err
	}
	defer object.Close()
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	mine, theirs := sha256.New(), sha256.New()
	n, err := io.Copy(mine, io.LimitReader(f, object.Size+1))
	if err == nil {
		_, err = io.Copy(theirs, object)
	}
	if err == nil && (n != object.Size || !bytes.Equal(mine.Sum(nil), theirs.Sum(nil))) {
		err = errors.New("another file is stored under its name")
	}
	one.Size, one.SHA256 = n, hex.EncodeToString(mine.Sum(nil))
	return err
}

// byProgram tells errors that what a program has put there explains from those
// that are the node's own, such as a bad disk or too many open files: a file
// must not be missing from a result for those.
func byProgram(err error) bool {
	for _, own := range []error{unix.ENOENT, unix.ENOTDIR, unix.ELOOP, unix.ENXIO, unix.ENODEV, unix.EACCES} {
		if errors.Is(err, own) {
			return true
		}
	}
	return false
}

func openFolder(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_DIRECTORY|unix.O_NONBLOCK, 0)
}

// elsewhere reports whether the result shall be at a URL that this node does not
// serve; then it is put there, too, out of the ledger's outbox.
func (a *attempt) elsewhere() bool {
	url := a.job.Result.URL
	return url != "" && !strings.HasPrefix(url, a.cfg.BaseURL+"/")
}

// publicURL is where this node serves the job.
func (a *attempt) publicURL() string {
	if a.elsewhere() {
		return a.cfg.BaseURL + "/" + a.job.ID
	}
	return a.job.Result.URL
}
