package jobdoc

import (
	"fmt"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/runnerbean/runnerbean/jobs"
)

// BatchDocument returns the job document of a batch that is written in one object: job, frames
// or matrix, max_running, bundle and package go to input.data, all else stays beside it. The error is a
// [*jobs.Fault].
func BatchDocument(data []byte) ([]byte, error) {
	if f := tooLarge(data); f != nil {
		return nil, f
	}
	if _, err := readOutline(data); err != nil {
		return nil, jobSchema().unreadable(data, err)
	}
	inside, outside := map[string]jsontext.Value{}, map[string]jsontext.Value{}
	f := eachMember(data, "", func(name string, value jsontext.Value) *jobs.Fault {
		switch name {
		case "job", "frames", "matrix", "max_running", "bundle", "package":
			inside[name] = value
		case "program", "input":
			return fault("/"+name, "is in job, which all frames have in common")
		default:
			outside[name] = value
		}
		return nil
	})
	if f != nil {
		return nil, f
	}
	input, err := jsonv2.Marshal(map[string]any{"data": inside}, jsonv2.Deterministic(true))
	if err == nil {
		outside["program"], outside["input"] = jsontext.Value(fmt.Sprintf("%q", jobs.BatchProgram)), input
		data, err = jsonv2.Marshal(outside, jsonv2.Deterministic(true))
	}
	if err != nil {
		return nil, fault("", "cannot be read: %s", err)
	}
	return data, nil
}
