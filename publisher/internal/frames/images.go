package frames

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/singleflight"

	"github.com/runnerbean/runnerbean/internal/ledger/batches"
	"github.com/runnerbean/runnerbean/internal/panics"
	"github.com/runnerbean/runnerbean/internal/published"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/jobview"
)

const (
	// maxImages is how many frames a view has at most for their images to be shown.
	maxImages = 100
	// imageWait is how long a page waits for the results of its frames. What is read later is in
	// the next page.
	imageWait = 50 * time.Millisecond
	// imageReaders is how many results are read at a time for one page, and maxImageResult the
	// size in bytes up to which a result is looked into.
	imageReaders   = 4
	maxImageResult = 256 << 10
	// maxImageNames bounds the memory for names of images.
	maxImageNames = 20_000
)

// images remembers which file of a frame is shown in place of its cell. A success never changes.
type images struct {
	results *published.Results
	flight  singleflight.Group

	mu    sync.Mutex
	names map[string]string // by the id of the job; empty where it has no image
}

// of returns the name of the image of each frame that has one, by the id of its job.
func (m *images) of(ctx context.Context, list []batches.Frame) map[string]string {
	if len(list) == 0 || len(list) > maxImages {
		return nil
	}
	found, rest := m.look(list)
	if len(rest) == 0 {
		return found
	}
	reading := m.flight.DoChan(rest[0], func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readTime)
		defer cancel()
		return nil, panics.Call(func() error { return m.read(ctx, rest) })
	})
	wait := time.NewTimer(imageWait)
	defer wait.Stop()
	select {
	case <-reading:
	case <-wait.C:
	case <-ctx.Done():
	}
	found, _ = m.look(list)
	return found
}

// look returns the images that are known, and the jobs of which nothing is known yet.
func (m *images) look(list []batches.Frame) (found map[string]string, rest []string) {
	found = map[string]string{}
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range list {
		if list[i].State != jobs.Succeeded {
			continue
		}
		name, known := m.names[list[i].Job]
		if !known {
			rest = append(rest, list[i].Job)
		} else if name != "" {
			found[list[i].Job] = name
		}
	}
	return found, rest
}

func (m *images) keep(job, name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.names == nil || len(m.names) >= maxImageNames {
		m.names = map[string]string{}
	}
	m.names[job] = name
}

func (m *images) read(ctx context.Context, list []string) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(imageReaders)
	for _, job := range list {
		group.Go(func() error {
			return panics.Call(func() error { return m.readOne(ctx, job) })
		})
	}
	return group.Wait()
}

// readOne reads from the result of a job which of its files is shown.
func (m *images) readOne(ctx context.Context, job string) error {
	document, err := m.results.Open(ctx, job)
	if errors.Is(err, fs.ErrNotExist) {
		m.keep(job, "")
		return nil
	}
	if err != nil {
		return err
	}
	defer document.Close()
	var result struct {
		Artifacts []jobs.Artifact `json:"artifacts"`
	}
	if document.Size <= maxImageResult {
		body, err := io.ReadAll(io.LimitReader(document, maxImageResult))
		if err != nil {
			return err
		}
		_ = json.Unmarshal(body, &result) // a document that cannot be read has no image
	}
	m.keep(job, jobview.Thumbnail(result.Artifacts))
	return nil
}
