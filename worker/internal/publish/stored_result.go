package publish

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

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

// readResult reads a result of the job. The error is fs.ErrNotExist if there is none.
func (p *Publication) readResult(ctx context.Context, key string) ([]byte, published, error) {
	var found published
	object, err := p.cfg.Store.Open(ctx, key)
	if err != nil {
		return nil, found, err
	}
	defer object.Close()
	document, err := io.ReadAll(io.LimitReader(object, maxDocument))
	if err != nil {
		return nil, found, err
	}
	if err := json.Unmarshal(document, &found); err != nil {
		return nil, found, err
	}
	if found.ID != p.record.ID || found.State != jobs.Succeeded {
		return nil, found, fmt.Errorf("it is not a result of job %s", p.record.ID)
	}
	return document, found, nil
}
