package main

import (
	"io"
	"os"
	"strconv"

	"github.com/go-json-experiment/json"
)

// event is one line that the program sends to the node.
type event struct {
	Progress float64  `json:"progress,omitzero"`
	Message  string   `json:"message,omitempty"`
	Partial  *partial `json:"partial,omitempty"`
}

// partial is a first result, in the form of the final one.
type partial struct {
	Series predicted `json:"series"`
}

// events sends events to the node. Without a node it writes nothing. If the node stops
// reading, the program goes on.
type events struct {
	w    io.Writer
	last float64
}

// openEvents opens what RUNNERBEAN_EVENTS names: a path or the number of a descriptor.
// If the variable is not set, there is no node. Descriptor 3 is then not tried, because
// it may be anything.
func openEvents(name string) (*events, func()) {
	if fd, err := strconv.ParseUint(name, 10, 31); err == nil && fd > 2 {
		file := os.NewFile(uintptr(fd), name)
		return &events{w: file}, func() { file.Close() }
	}
	if name == "" {
		return &events{}, func() {}
	}
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return &events{}, func() {}
	}
	return &events{w: file}, func() { file.Close() }
}

// progress reports the share of the work that is done, from 0 to 1. It skips a report
// that is less than 0.01 above the last one.
func (e *events) progress(share float64, message string) {
	share = places(min(share, 1), 2)
	if share <= e.last {
		return
	}
	e.last = share
	e.write(event{Progress: share, Message: message})
}

func (e *events) write(v event) {
	if e.w == nil {
		return
	}
	line, err := json.Marshal(v)
	if err != nil {
		return
	}
	if _, err := e.w.Write(append(line, '\n')); err != nil {
		e.w = nil
	}
}
