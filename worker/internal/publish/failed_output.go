package publish

import (
	"context"
	"encoding/json"
	"io"
	"strconv"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/worker/internal/strictjson"
)

const (
	// maxDropped bounds the attempts that one DropOutput looks at.
	maxDropped = 10
	// maxOutputList bounds a list of files, in bytes.
	maxOutputList = 8 << 20
)

// KeepOutput stores the files in out/ of an attempt that is not a success, within the
// limits, and a list of them.
func (p *Publication) KeepOutput(ctx context.Context, dir string, log io.Writer) {
	out := p.output(dir, log, "?attempt="+strconv.Itoa(p.record.Attempt))
	if err := out.Collect(ctx); err != nil {
		p.logger.Warn("files that a program left are not kept", "err", err)
	}
	if len(out.Artifacts)+len(out.LeftOut()) == 0 {
		return
	}
	list, err := strictjson.Marshal(api.Output{Attempt: p.record.Attempt, Artifacts: out.Artifacts, LeftOut: out.LeftOut()})
	if err == nil {
		err = p.cfg.Store.Replace(ctx, store.OutputKey(p.record.ID, p.record.Attempt), list)
	}
	if err != nil {
		p.logger.Warn("files that a program left are not kept", "err", err)
		p.drop(context.WithoutCancel(ctx), p.stored)
	}
}

// DropOutput removes the files of earlier attempts except for the newest ones. It looks
// at several attempts: one whose node died has removed nothing.
func (p *Publication) DropOutput(ctx context.Context) {
	last := p.record.Attempt - api.MaxOutputs
	for n := last; n > 0 && n > last-maxDropped; n-- {
		key := store.OutputKey(p.record.ID, n)
		object, err := p.cfg.Store.Open(ctx, key)
		if err != nil {
			continue
		}
		var old api.Output
		err = json.NewDecoder(io.LimitReader(object, maxOutputList)).Decode(&old)
		_ = object.Close()
		if err != nil {
			p.logger.Warn("a list of files cannot be read; they stay", "key", key, "err", err)
			continue
		}
		keys := make([]string, 0, len(old.Artifacts)+1)
		for _, file := range old.Artifacts {
			keys = append(keys, store.FileKey(p.record.ID, n, file.Name))
		}
		p.drop(ctx, append(keys, key)) // the list last: if this node dies before, the next attempt finds it
	}
}
