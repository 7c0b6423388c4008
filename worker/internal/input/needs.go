package input

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/runnerbean/runnerbean/internal/bytesize"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/worker/internal/fault"
	"github.com/runnerbean/runnerbean/worker/internal/strictjson"
)

// copyStep is how much of an artifact is copied before the context is asked again, in bytes.
const copyStep = 8 << 20

// Labels that jobs.Batch sets.
const (
	batchLabel = "batch"
	frameLabel = "frame"
)

var (
	// errLarge is returned for what does not fit into what is left of a limit.
	errLarge = errors.New("too large")
	// errMissing is returned for a result or an artifact that is not there.
	errMissing = errors.New("missing from the store")
)

// needs copies what the needed jobs have left: the result document of each to result.json in
// a folder of needs in dir, and its artifacts to files there. It takes at most limit bytes and
// returns how much of it is left. The log is that of the job. The error is a fault.
func (f *Fetcher) needs(ctx context.Context, job *jobs.Job, log io.Writer, dir string, limit int64) (int64, error) {
	taken := map[string]bool{}
	for i, id := range job.Needs {
		name, err := f.needName(ctx, job.Labels, i, id)
		if err != nil {
			return limit, needFault(&fault.Temporary{Err: err}, i, id, limit)
		}
		if taken[name] { // labels of others say so
			name = id
		}
		taken[name] = true
		folder := filepath.Join(dir, "needs", name)
		left, err := f.need(ctx, id, folder, limit)
		if errors.Is(err, errMissing) {
			left, err = limit, errors.Join(os.RemoveAll(folder), f.missing(ctx, log, folder, id, err))
		}
		if err != nil {
			return left, needFault(err, i, id, limit)
		}
		limit = left
	}
	return limit, nil
}

// needName returns the folder of the need at index i: in a batch the number of the frame, or
// the id of a job that is no frame of it. Elsewhere it is i.
func (f *Fetcher) needName(ctx context.Context, labels map[string]string, i int, id string) (string, error) {
	batch := labels[batchLabel]
	if batch == "" {
		return strconv.Itoa(i), nil
	}
	record, err := f.cfg.Jobs.Get(ctx, id)
	if errors.Is(err, ledger.ErrUnknown) {
		return id, nil // was deleted
	}
	number, numberErr := strconv.ParseUint(record.Labels[frameLabel], 10, 31)
	if err != nil || record.Labels[batchLabel] != batch || numberErr != nil {
		return id, err
	}
	return strconv.FormatUint(number, 10), nil
}

// missing is called where the result of a needed job, or an artifact of it, is not there. For
// a job without success it writes a result document with the error to folder. If the job was
// deleted, nothing is wrong: the order of the jobs was kept, and the program may need no more
// than that.
func (f *Fetcher) missing(ctx context.Context, log io.Writer, folder, id string, err error) error {
	record, known := f.cfg.Jobs.Get(ctx, id)
	switch {
	case errors.Is(known, ledger.ErrUnknown):
		fmt.Fprintf(log, "runnerbean: job %s, which this job needs, was deleted; what it left is not in inputs/needs/%s\n", id, filepath.Base(folder))
		return nil
	case known != nil:
		return known
	case record.State == jobs.Succeeded:
		return &fault.Temporary{Err: err}
	}
	document, err := strictjson.Marshal(jobs.Result{
		ID: id, Program: record.Program, State: record.State, Timestamp: record.Updated, Created: record.Created,
		Started: record.Started, Finished: record.Finished, Attempt: record.Attempt, Node: record.Node, Error: record.Error,
	})
	if err != nil {
		return err
	}
	return errors.Join(os.MkdirAll(folder, 0o700), os.WriteFile(filepath.Join(folder, "result.json"), document, 0o600))
}

// needFault returns the fault of a job that does not get what a needed job has left.
func needFault(err error, i int, id string, limit int64) *fault.Fault {
	f := &fault.Fault{Outcome: jobs.OutcomeInput, Pointer: "/needs/" + strconv.Itoa(i), Awaits: temporary(err)}
	switch {
	case errors.Is(err, errLarge):
		f.Message = fmt.Sprintf("result and files of job %s, which it needs, are larger than the %s that are left for its inputs", id, bytesize.Size(limit))
	case f.Awaits != nil:
		f.Message = fmt.Sprintf("the result of job %s, which it needs, cannot be had: %s", id, err)
	default:
		return fault.OfNode("the result of job "+id+", which it needs, cannot be copied", err)
	}
	return f
}

// need is copyNeed within the time for one input.
func (f *Fetcher) need(ctx context.Context, id, dir string, limit int64) (int64, error) {
	limited, cancel := context.WithTimeout(ctx, f.cfg.Timeout)
	defer cancel()
	left, err := f.copyNeed(limited, id, dir, limit)
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		err = &fault.Temporary{Err: fmt.Errorf("it did not come within %s", f.cfg.Timeout)}
	}
	return left, err
}

// copyNeed copies the result document and the artifacts of a job to a new folder.
func (f *Fetcher) copyNeed(ctx context.Context, id, dir string, limit int64) (left int64, err error) {
	document, err := f.cfg.Results.Open(ctx, id)
	if err != nil {
		return limit, notThere(err)
	}
	defer document.Close()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return limit, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return limit, err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	if limit, err = copyNew(ctx, root, "result.json", document, document.Size, limit); err != nil {
		return limit, err
	}
	attempt, artifacts, err := readArtifacts(root)
	if err != nil {
		return limit, &fault.Temporary{Err: fmt.Errorf("it is not a result document: %w", err)}
	}
	for i := range artifacts {
		if limit, err = f.artifact(ctx, root, store.FileKey(id, attempt, artifacts[i].Name), path.Join("files", artifacts[i].Name), limit); err != nil {
			return limit, fmt.Errorf("artifact %s: %w", artifacts[i].Name, err)
		}
	}
	return limit, nil
}

// notThere returns an errMissing for an object that does not exist.
func notThere(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", errMissing, err)
	}
	return err
}

// artifact copies an object to a new file.
func (f *Fetcher) artifact(ctx context.Context, root *os.Root, key, name string, limit int64) (left int64, err error) {
	object, err := f.cfg.Objects.Open(ctx, key)
	if err != nil {
		return limit, notThere(err)
	}
	defer object.Close()
	if err := root.MkdirAll(path.Dir(name), 0o700); err != nil {
		return limit, err
	}
	return copyNew(ctx, root, name, object.ReadSeekCloser, object.Size, limit)
}

// copyNew copies size bytes to a new file, unless they are more than limit. It returns how
// much of limit is left.
func copyNew(ctx context.Context, root *os.Root, name string, from io.Reader, size, limit int64) (left int64, err error) {
	if size > limit {
		return limit, errLarge
	}
	to, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return limit, err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	for rest := size; rest > 0; rest -= copyStep {
		if err := ctx.Err(); err != nil {
			return limit, err
		}
		_, err := io.CopyN(to, from, min(rest, copyStep))
		switch {
		case errors.Is(err, io.EOF):
			return limit, &fault.Temporary{Err: fmt.Errorf("%s has less than its %d bytes", name, size)}
		case err != nil:
			return limit, err
		}
	}
	return limit - size, nil
}

// readArtifacts reads the list of artifacts of a result document, which may be large.
func readArtifacts(root *os.Root) (attempt int, list []jobs.Artifact, err error) {
	file, err := root.Open("result.json")
	if err != nil {
		return 0, nil, err
	}
	defer file.Close()
	d := jsontext.NewDecoder(file)
	if _, err := d.ReadToken(); err != nil {
		return 0, nil, err
	}
	for d.PeekKind() == '"' {
		name, err := d.ReadToken()
		if err != nil {
			return 0, nil, err
		}
		switch name.String() {
		case "attempt":
			err = json.UnmarshalDecode(d, &attempt)
		case "artifacts":
			err = json.UnmarshalDecode(d, &list)
		default:
			err = d.SkipValue()
		}
		if err != nil {
			return 0, nil, err
		}
	}
	_, err = d.ReadToken()
	return attempt, list, err
}
