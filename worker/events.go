package worker

import (
	"errors"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const (
	maxPartial     = 256 << 10 // bytes
	maxCounters    = 64
	maxCounterName = 64 // bytes
)

// event is one line that a program writes to its events descriptor. Members
// that are not known are ignored, so that programs may be newer than nodes.
type event struct {
	Progress *float64           `json:"progress"`
	Message  *string            `json:"message"`
	Counters map[string]float64 `json:"counters"`
	Partial  jsontext.Value     `json:"partial"`
}

// decodeEvent reads one line strictly and bounds what is in it.
func decodeEvent(line []byte) (event, error) {
	var depth depthMeter
	if err := depth.add(line); err != nil {
		return event{}, err
	}
	var e event
	if err := json.Unmarshal(line, &e); err != nil {
		return event{}, readable(err)
	}
	if e.Progress != nil {
		*e.Progress = min(max(*e.Progress, 0), 1)
	}
	if e.Message != nil {
		*e.Message = clean(*e.Message, maxMessage)
	}
	if len(e.Counters) > maxCounters {
		return event{}, errors.New("it has more than 64 counters")
	}
	return e, e.checkPartial()
}

func (e *event) checkPartial() error {
	if len(e.Partial) == 0 {
		return nil
	}
	var err error
	if e.Partial, err = appendValue(nil, e.Partial); err != nil {
		return err
	}
	if len(e.Partial) > maxPartial {
		return errors.New("its partial result is larger than 256 KiB")
	}
	return nil
}
