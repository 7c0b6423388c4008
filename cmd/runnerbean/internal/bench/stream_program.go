package bench

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

const (
	// streamProgram is the name of the program of ModeStream.
	streamProgram = "echo-stream"
	// StreamCommand is the hidden argument of "runnerbean bench" that makes it that program.
	StreamCommand = "stream-program"
	// maxStreamLine is the size of the longest line that the program reads, in bytes.
	maxStreamLine = 2 << 20
)

// installStreamProgram installs this executable as a stream program.
func installStreamProgram(folder string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	path := filepath.Join(folder, streamProgram)
	if err := os.MkdirAll(path, 0o755); err != nil {
		return err
	}
	quoted := "'" + strings.ReplaceAll(self, "'", `'\''`) + "'"
	return errors.Join(
		os.WriteFile(filepath.Join(path, "run"), []byte("#!/bin/sh\nexec "+quoted+" bench "+StreamCommand+"\n"), 0o755),
		os.WriteFile(filepath.Join(path, "program.json"), []byte(`{"mode":"stream"}`), 0o644),
	)
}

// ServeStream is the stream program: it answers each job with its input, until its input
// ends.
func ServeStream(in io.Reader, out io.Writer) error {
	lines := bufio.NewReaderSize(in, maxStreamLine)
	for {
		line, err := lines.ReadSlice('\n')
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		var job struct {
			ID    json.RawMessage `json:"id"`
			Input json.RawMessage `json:"input"`
		}
		if err := json.Unmarshal(line, &job); err != nil {
			return err
		}
		if _, err := fmt.Fprintf(out, `{"id":%s,"result":%s}`+"\n", job.ID, job.Input); err != nil {
			return err
		}
	}
}
