package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json"
)

// maxInput is the size of the largest input of a program, in bytes.
const maxInput = 4 << 20

// errData is an error of the input, which does not change.
var errData = errors.New("wrong data")

// place is where a program runs: the names of its folders, and what it reads and writes.
type place struct {
	stdin          io.Reader
	stdout, events io.Writer
	inputs, out    string
}

// decode reads one JSON value strictly. The error is an errData that begins with name.
func decode(from io.Reader, name string, to any) error {
	limited := &io.LimitedReader{R: from, N: maxInput + 1}
	err := json.UnmarshalRead(limited, to, json.RejectUnknownMembers(true))
	if limited.N <= 0 {
		err = fmt.Errorf("it is larger than %d bytes", maxInput)
	}
	if err != nil {
		return fmt.Errorf("%w: %s: %w", errData, name, err)
	}
	return nil
}

// encode writes a value as one line of JSON, with the members of objects in order.
func encode(to io.Writer, v any) error {
	text, err := json.Marshal(v, json.Deterministic(true))
	if err == nil {
		_, err = to.Write(append(text, '\n'))
	}
	return err
}

// tell writes an event. Nobody may read the events, for instance in a shell.
func (p place) tell(v any) { _ = encode(p.events, v) }
