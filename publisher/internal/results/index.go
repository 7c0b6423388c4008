package results

import (
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/runnerbean/runnerbean/jobs"
)

// index is what a result document says about its files.
type index struct {
	Attempt   int             `json:"attempt"`
	Finished  time.Time       `json:"finished"`
	Artifacts []jobs.Artifact `json:"artifacts"`
	LeftOut   []jobs.LeftOut  `json:"left_out"`
}

// decodeIndex reads a result document of any size, and keeps only its index.
func decodeIndex(r io.Reader) (found index, err error) {
	d := jsontext.NewDecoder(r, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if d.PeekKind() != '{' {
		return found, errors.New("publisher: a result document is no JSON object")
	}
	if _, err := d.ReadToken(); err != nil {
		return found, err
	}
	members := map[string]any{"attempt": &found.Attempt, "finished": &found.Finished, "artifacts": &found.Artifacts, "left_out": &found.LeftOut}
	for d.PeekKind() == '"' {
		name, err := d.ReadToken()
		if err != nil {
			return found, err
		}
		member := members[name.String()]
		if member == nil {
			if err := d.SkipValue(); err != nil {
				return found, err
			}
			continue
		}
		value, err := d.ReadValue()
		if err == nil {
			err = json.Unmarshal(value, member)
		}
		if err != nil {
			return found, err
		}
	}
	_, err = d.ReadToken() // a document that is cut off has no closing brace
	return found, err
}
