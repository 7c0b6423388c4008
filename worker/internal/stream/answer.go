// Package stream runs jobs in processes that stay: programs with "mode":"stream".
package stream

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/runnerbean/runnerbean/internal/logtext"
	"github.com/runnerbean/runnerbean/worker/internal/fault"
	"github.com/runnerbean/runnerbean/worker/internal/strictjson"
)

// maxQuoted bounds what is quoted of a line that is not an answer, in bytes.
const maxQuoted = 80

// Failure is what a program answers that cannot do a job.
type Failure struct {
	Message string `json:"message"`
	Final   bool   `json:"final"` // another attempt would fail, too
}

// answer is a line on standard output. Unknown members are ignored, so that programs may be
// newer than nodes.
type answer struct {
	ID     *string        `json:"id"`
	Result jsontext.Value `json:"result"` // nil if there is none
	Error  *Failure       `json:"error"`
}

// decodeAnswer reads the answer to a job. The error quotes what came instead.
func decodeAnswer(line []byte, job string) (answer, error) {
	a, err := parseAnswer(line)
	switch {
	case err != nil:
		return answer{}, fmt.Errorf("instead of an answer it wrote a line that is not one (%w): %s", err, quote(line))
	case *a.ID != job:
		return answer{}, fmt.Errorf("it answered to another job: %s", quote(line))
	}
	return a, nil
}

func parseAnswer(line []byte) (a answer, err error) {
	if err := strictjson.CheckDepth(line); err != nil {
		return a, err
	}
	if err := json.Unmarshal(line, &a); err != nil {
		return a, strictjson.Readable(err)
	}
	switch {
	case a.ID == nil:
		return a, errors.New("it has no id")
	case (a.Result == nil) == (a.Error == nil):
		return a, errors.New("it must have a result or an error, and not both")
	}
	if a.Error != nil {
		a.Error.Message = logtext.Clean(a.Error.Message, fault.MaxMessage)
	}
	return a, nil
}

// quote returns the beginning of a line for people.
func quote(line []byte) string {
	line = bytes.TrimSpace(line)
	if len(line) <= maxQuoted {
		return fmt.Sprintf("%q", line)
	}
	return fmt.Sprintf("%q and %d bytes more", line[:maxQuoted], len(line)-maxQuoted)
}

// Job is a job for a process of a stream program.
type Job struct {
	ID      string
	Attempt int
	Input   []byte // one JSON value
}

// appendJob appends the line that sends a job. inputs and out are its folders.
func appendJob(line []byte, job *Job, inputs, out string) ([]byte, error) {
	line = append(line, `{"id":`...)
	line = appendString(line, job.ID)
	line = fmt.Appendf(line, `,"attempt":%d,"input":`, job.Attempt)
	var err error
	if bytes.ContainsAny(job.Input, "\r\n") {
		if line, err = strictjson.AppendValue(line, job.Input); err != nil {
			return line, err
		}
	} else {
		line = append(line, job.Input...)
	}
	line = append(line, `,"inputs":`...)
	line = appendString(line, inputs)
	line = append(line, `,"out":`...)
	line = appendString(line, out)
	return append(line, '}', '\n'), nil
}

// appendString appends a JSON string. What is not UTF-8 is replaced.
func appendString(line []byte, s string) []byte {
	line, _ = jsontext.AppendQuote(line, s) // the error is that of invalid UTF-8
	return line
}
