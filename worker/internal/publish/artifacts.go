package publish

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"net/url"
	"os"
	"strings"

	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/worker/internal/workdir"
)

// output returns the collection of the files in out/ of a working directory, which
// stores them. query is appended to their URLs.
func (p *Publication) output(dir string, log io.Writer, query string) *workdir.Output {
	return &workdir.Output{
		Dir: dir, MaxBytes: p.cfg.MaxFiles, Log: log,
		Store: func(ctx context.Context, f *os.File, name string, room int64) (jobs.Artifact, error) {
			one := jobs.Artifact{Name: name, URL: p.fileURL(name) + query}
			err := p.storeArtifact(ctx, f, &one, room)
			return one, err
		},
	}
}

// storeArtifact stores a file of at most room bytes and fills in its size and digest.
func (p *Publication) storeArtifact(ctx context.Context, f *os.File, one *jobs.Artifact, room int64) error {
	key := store.FileKey(p.record.ID, p.record.Attempt, one.Name)
	err := p.persist(ctx, func() error {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return err
		}
		digest := sha256.New()
		n, err := p.cfg.Store.CreateFrom(ctx, key, io.TeeReader(store.Bounded(f, room), digest))
		one.Size, one.SHA256 = n, hex.EncodeToString(digest.Sum(nil))
		return err
	})
	if errors.Is(err, fs.ErrExist) {
		err = p.storedBefore(ctx, f, key, one)
	}
	if err == nil {
		p.stored = append(p.stored, key)
	}
	return err
}

// storedBefore fills in size and digest of a file that is stored already, because a try
// that seemed to fail did not. The error is that it is another file.
func (p *Publication) storedBefore(ctx context.Context, f *os.File, key string, one *jobs.Artifact) error {
	object, err := p.cfg.Store.Open(ctx, key)
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

// fileURL returns the URL of a file of the job on this node.
func (p *Publication) fileURL(name string) string {
	parts := strings.Split(name, "/")
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	return p.publicURL() + "/files/" + strings.Join(parts, "/")
}

// publicURL returns the URL of the job on this node. The result URL of the job may be
// on another server: then the result is put there, too, out of the ledger's outbox.
func (p *Publication) publicURL() string {
	if result := p.Job.Result.URL; result == "" || strings.HasPrefix(result, p.cfg.BaseURL+"/") {
		return result
	}
	return p.cfg.BaseURL + "/" + p.Job.ID
}
