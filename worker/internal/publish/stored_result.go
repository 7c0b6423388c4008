package publish

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
)

// maxDocument is the largest result that is read back, in bytes.
const maxDocument = 512 << 20

// published is what two results of one job are compared by.
type published struct {
	ID        string          `json:"id"`
	State     jobs.State      `json:"state"`
	Attempt   int             `json:"attempt"`
	Result    jsontext.Value  `json:"result"`
	Artifacts []jobs.Artifact `json:"artifacts"`
}

func (p published) equal(q published) bool {
	return bytes.Equal(p.Result, q.Result) && slices.EqualFunc(p.Artifacts, q.Artifacts,
		func(a, b jobs.Artifact) bool { return a.Name == b.Name && a.Size == b.Size && a.SHA256 == b.SHA256 })
}

// readWinner reads the published result of the job.
func (p *Publication) readWinner(ctx context.Context) ([]byte, published, error) {
	document, winner, err := p.readRecorded(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		return p.readObject(ctx, store.ResultKey(p.record.ID))
	}
	return document, winner, err
}

// readRecorded reads the result of the job from the ledger. The error is fs.ErrNotExist if
// it has none.
func (p *Publication) readRecorded(ctx context.Context) ([]byte, published, error) {
	recorded, found, err := p.cfg.Results.Get(ctx, p.record.ID)
	switch {
	case err != nil:
		return nil, published{}, err
	case !found:
		return nil, published{}, fs.ErrNotExist
	}
	result, err := p.decode(recorded.Document)
	return recorded.Document, result, err
}

// readObject reads a result of the job from the store. The error is fs.ErrNotExist if
// there is none.
func (p *Publication) readObject(ctx context.Context, key string) ([]byte, published, error) {
	object, err := p.cfg.Store.Open(ctx, key)
	if err != nil {
		return nil, published{}, err
	}
	defer object.Close()
	document, err := io.ReadAll(io.LimitReader(object, maxDocument))
	if err != nil {
		return nil, published{}, err
	}
	result, err := p.decode(document)
	return document, result, err
}

func (p *Publication) decode(document []byte) (result published, err error) {
	if err := json.Unmarshal(document, &result); err != nil {
		return result, err
	}
	if result.ID != p.record.ID || result.State != jobs.Succeeded {
		return result, fmt.Errorf("it is not a result of job %s", p.record.ID)
	}
	return result, nil
}
