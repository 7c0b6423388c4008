package input

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/runnerbean/runnerbean/internal/bytesize"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/worker/internal/fault"
)

// maxInMemory is how much of an input is held in memory. A larger one is kept in a
// file.
const maxInMemory = 1 << 20

// Stdin is the standard input of a program: Data, or File if that is not nil.
type Stdin struct {
	Data []byte
	File *os.File
}

// Rewind makes the next read of File begin at its beginning.
func (in *Stdin) Rewind() error {
	if in.File == nil {
		return nil
	}
	_, err := in.File.Seek(0, io.SeekStart)
	return err
}

// reader returns a reader of the input from its beginning.
func (in *Stdin) reader() (io.Reader, error) {
	if in.File == nil {
		return bytes.NewReader(in.Data), nil
	}
	return in.File, in.Rewind()
}

// all returns the whole input in memory.
func (in *Stdin) all() ([]byte, error) {
	if in.File == nil {
		return in.Data, nil
	}
	info, err := in.File.Stat()
	if err != nil {
		return nil, err
	}
	data := make([]byte, info.Size())
	_, err = in.File.ReadAt(data, 0)
	return data, err
}

// Bytes returns the whole input in memory, if it has at most limit bytes. The error is a
// fault.
func (in *Stdin) Bytes(limit int64) ([]byte, error) {
	if in.File != nil {
		info, err := in.File.Stat()
		if err == nil && info.Size() > limit {
			return nil, &fault.Fault{Outcome: jobs.OutcomeInput, Message: fmt.Sprintf(
				"the input has %s, and a stream program takes at most %s", bytesize.Size(info.Size()), bytesize.Size(limit))}
		}
	}
	data, err := in.all()
	if err != nil {
		return nil, fault.OfNode("the input cannot be read", err)
	}
	return data, nil
}

// Close removes the file, if there is one.
func (in *Stdin) Close() {
	if in.File != nil {
		in.File.Close()
		os.Remove(in.File.Name())
	}
}

// spill keeps an input that is being fetched: in memory until it is too large, then in
// a file.
type spill struct {
	path string
	data bytes.Buffer
	file *os.File
}

func (s *spill) reset() error {
	s.data.Reset()
	if s.file == nil {
		return nil
	}
	_, err := s.file.Seek(0, io.SeekStart)
	return errors.Join(err, s.file.Truncate(0))
}

func (s *spill) Write(p []byte) (int, error) {
	if s.file != nil {
		return s.file.Write(p)
	}
	if s.data.Len()+len(p) <= maxInMemory {
		return s.data.Write(p)
	}
	f, err := os.OpenFile(s.path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return 0, err
	}
	s.file = f
	if _, err := s.data.WriteTo(f); err != nil {
		return 0, err
	}
	return f.Write(p)
}

// stdin returns what was fetched.
func (s *spill) stdin() Stdin { return Stdin{Data: s.data.Bytes(), File: s.file} }
