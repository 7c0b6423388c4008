package testbed

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/runnerbean/runnerbean/chaos/check"
)

// History is the file of all that was done and seen. Programs also append to
// it, each line with one write.
type History struct {
	Path string
	file *os.File
	mu   sync.Mutex
	err  error // the first failed write
}

func openHistory(path string) (*History, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	return &History{Path: path, file: file}, nil
}

// Note appends an event. The default for its time is now.
func (h *History) Note(e check.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if e.T == 0 {
		e.T = time.Now().UnixNano()
	}
	line, err := json.Marshal(e)
	if err == nil {
		_, err = h.file.Write(append(line, '\n'))
	}
	if err != nil && h.err == nil {
		h.err = fmt.Errorf("history: %w", err)
	}
}

func (h *History) close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.file.Close(); err != nil {
		return err
	}
	return h.err
}

// HistoryReader reads a history while it grows.
type HistoryReader struct {
	Path   string
	offset int64
	rest   []byte
}

// Next returns the events since the last call.
func (f *HistoryReader) Next() ([]check.Event, error) {
	file, err := os.Open(f.Path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.NewSectionReader(file, f.offset, 1<<40))
	if err != nil {
		return nil, err
	}
	f.offset += int64(len(text))
	return f.events(append(f.rest, text...))
}

func (f *HistoryReader) events(text []byte) (events []check.Event, err error) {
	for start := 0; ; {
		end := start
		for end < len(text) && text[end] != '\n' {
			end++
		}
		if end == len(text) {
			f.rest = append([]byte(nil), text[start:]...)
			return events, nil
		}
		var e check.Event
		if err := json.Unmarshal(text[start:end], &e); err != nil {
			return nil, fmt.Errorf("history: %w", err)
		}
		events = append(events, e)
		start = end + 1
	}
}

// Measure records a value of which at most so much is wanted.
func (h *History) Measure(what string, got, most float64) {
	h.Note(check.Event{What: check.Measure, Text: what, N: got, Most: &most})
}

// MeasureLeast records a value of which at least so much is wanted.
func (h *History) MeasureLeast(what string, got, least float64) {
	h.Note(check.Event{What: check.Measure, Text: what, N: got, Least: &least})
}

// Logf records a remark.
func (h *History) Logf(format string, args ...any) {
	h.Note(check.Event{What: check.Note, Text: fmt.Sprintf(format, args...)})
}
