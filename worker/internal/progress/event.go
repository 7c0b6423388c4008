package progress

import (
	"errors"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/runnerbean/runnerbean/internal/logtext"
	"github.com/runnerbean/runnerbean/worker/internal/fault"
	"github.com/runnerbean/runnerbean/worker/internal/strictjson"
)

const (
	maxPartial     = 256 << 10 // of a partial result, in bytes
	maxCounters    = 64
	maxCounterName = 64 // in bytes
)

// event is one line that a program writes to its events descriptor. Unknown members
// are ignored, so that programs may be newer than nodes.
type event struct {
	ID       jsontext.Value     `json:"id"` // of the job, in events of stream programs
	Progress *float64           `json:"progress"`
	Message  *string            `json:"message"`
	Counters map[string]float64 `json:"counters"`
	Partial  jsontext.Value     `json:"partial"`
	Enqueue  jsontext.Value     `json:"enqueue"`
	Saved    jsontext.Value     `json:"checkpoint"` // true says that the program has saved one
	Chunk    jsontext.Value     `json:"chunk"`

	chunk *chunk // nil if it has none
}

// decodeEvent reads one line and checks its bounds.
func decodeEvent(line []byte) (event, error) {
	if err := strictjson.CheckDepth(line); err != nil {
		return event{}, err
	}
	var e event
	if err := json.Unmarshal(line, &e); err != nil {
		return event{}, strictjson.Readable(err)
	}
	if e.Progress != nil {
		*e.Progress = min(max(*e.Progress, 0), 1)
	}
	if e.Message != nil {
		*e.Message = logtext.Clean(*e.Message, fault.MaxMessage)
	}
	if len(e.Counters) > maxCounters {
		return event{}, errors.New("it has more than 64 counters")
	}
	var err error
	if e.chunk, err = decodeChunk(e.Chunk); err != nil {
		return event{}, err
	}
	err = e.checkPartial()
	return e, err
}

// names reports whether the event has the id of a job.
func (e *event) names(job string) bool {
	id, err := jsontext.AppendUnquote(nil, e.ID)
	return err == nil && e.ID.Kind() == '"' && string(id) == job
}

// checkPartial checks the partial result and makes it compact.
func (e *event) checkPartial() error {
	if len(e.Partial) == 0 {
		return nil
	}
	var err error
	if e.Partial, err = strictjson.AppendValue(nil, e.Partial); err != nil {
		return err
	}
	if len(e.Partial) > maxPartial {
		return errors.New("its partial result is larger than 256 KiB")
	}
	return nil
}
