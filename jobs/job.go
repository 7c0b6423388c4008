package jobs

import (
	"bytes"
	"encoding/json"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"
)

// DefaultPriority is the priority of a job that names none. As in beanstalkd,
// 0 is the most urgent and 4294967295 the least.
const DefaultPriority uint32 = 1024

const (
	// MaxDocument is the size of the largest job document, in bytes.
	MaxDocument = 1 << 20
	// MaxQueued is the size of the largest document that beanstalkd accepts by
	// default (its option -z), in bytes. Give larger inputs by URL.
	MaxQueued = 65535
)

// Job is a job document: what to run, where the input is, and where the result will
// be. docs/wire-format.md describes each field and its rules. [Job.Validate] checks
// them.
type Job struct {
	// ID is a lower-case UUID, version 7 ([NewID] returns one) or 4. A job that is put
	// again under its id is one job, also with another Created or Traceparent. Any other
	// difference is a conflict: the first one stands.
	ID string `json:"id"`
	// Program is the name of an installed program, never a path.
	Program string `json:"program"`
	Input   Input  `json:"input"`
	// Files are fetched into the program's folder inputs/ before it starts.
	Files  []File `json:"files,omitempty"`
	Result Target `json:"result"`
	// Created is when the document was made.
	Created time.Time `json:"created,omitzero"`
	// Priority is nil for [DefaultPriority]; lower is more urgent.
	Priority *uint32 `json:"priority,omitempty"`
	// NotBefore is the earliest start, Expires the latest: a job that has not
	// started by then fails.
	NotBefore time.Time `json:"not_before,omitzero"`
	Expires   time.Time `json:"expires,omitzero"`
	// Timeout bounds one attempt; zero leaves it to the program or the node.
	Timeout Duration `json:"timeout,omitzero"`
	// Attempts is how many attempts may end in error; zero leaves it to the
	// program or the node.
	Attempts int `json:"attempts,omitzero"`
	// Needs are the ids or result URLs of jobs that must have succeeded before this one
	// starts. Its program finds what they left in inputs/needs.
	Needs []string `json:"needs,omitempty"`
	// NeedsTimeout is how long the job waits for a needed job that nobody has put; zero is
	// an hour, [Forever] has no end.
	NeedsTimeout Duration `json:"needs_timeout,omitzero"`
	// NeedsFailed says what happens if a needed job fails or is cancelled: this one fails
	// too ([NeedsFail], or empty), or it runs with what there is once all needed jobs have
	// ended ([NeedsRun]).
	NeedsFailed string            `json:"needs_failed,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	// Traceparent is a W3C trace context; the program finds it in its environment.
	Traceparent string `json:"traceparent,omitempty"`
	// Webhook is the URL that is told when the job has ended, see
	// [VerifyWebhook].
	Webhook string `json:"webhook,omitempty"`
	// Keep says how long the job is kept after its end; where it says nothing, the
	// program or the node does.
	Keep Keep `json:"keep,omitzero"`
	// Repeat makes the job the first run of a loop: so long after a success the next job of
	// the loop starts, from 1 s to 366 days. It has the same document, and an id of its own. The
	// newest success is at Result.URL + "/latest". Zero is a job that runs once.
	Repeat Duration `json:"repeat,omitzero"`
	// RerunOf is the id of the job that this one repeats, because a result never changes.
	RerunOf string `json:"rerun_of,omitempty"`
}

// Values of [Job.NeedsFailed].
const (
	NeedsFail = "fail"
	NeedsRun  = "run"
)

// Input says where a program's standard input comes from: either URL or Data.
type Input struct {
	// URL is http or https, or "sha256:" and the digest of a file in the store of the nodes,
	// which the package of a batch has brought there.
	URL string `json:"url,omitempty"`
	// SHA256 is the lower-case hex digest that the fetched bytes must have.
	SHA256 string `json:"sha256,omitempty"`
	// Data is the input value itself, see [Data].
	Data json.RawMessage `json:"data,omitzero"`
}

// Data returns an input that is v as encoding/json writes it. Enqueue returns a [*Fault] at
// /input/data for a value that cannot be written, such as NaN, a channel, a text that is
// not UTF-8 or a cycle.
func Data(v any) Input {
	text, err := jsonv2.Marshal(v, jsonv1.DefaultOptionsV1(), jsontext.EscapeForHTML(false), jsontext.AllowInvalidUTF8(false))
	if err != nil {
		return Input{Data: append([]byte(unwritable), err.Error()...)}
	}
	return Input{Data: text}
}

// unwritable begins the Data of a value that cannot be written; its error follows. The text
// is not JSON, so that no encoder takes it for a value, and an Input can be compared.
const unwritable = "cannot be written as JSON: "

// dataFault returns the fault of a value that Data could not write, or nil.
func (in Input) dataFault() *Fault {
	if why, ok := bytes.CutPrefix(in.Data, []byte(unwritable)); ok {
		return newFault("/input/data", unwritable+"%.200s", why)
	}
	return nil
}

// File is an additional input, fetched to inputs/Name. URL is as in [Input].
type File struct {
	Name   string `json:"name"`
	URL    string `json:"url"`
	SHA256 string `json:"sha256,omitempty"`
	// Size in bytes, where known; a file of another size is refused.
	Size int64 `json:"size,omitzero"`
}

// Target is where the result will be: URL ends in the job's id.
type Target struct {
	URL string `json:"url"`
}

// EffectivePriority returns Priority, or DefaultPriority if it is nil.
func (j Job) EffectivePriority() uint32 {
	if j.Priority == nil {
		return DefaultPriority
	}
	return *j.Priority
}
