package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/runnerbean/runnerbean/internal/logtext"
)

const (
	// maxDepth is how deep the JSON of inputs and results may be nested.
	maxDepth = 1000
	// maxMembers is how many members one object may have.
	maxMembers = 1_000_000
)

var (
	errDepth   = fmt.Errorf("nested more than %d deep", maxDepth)
	errMembers = fmt.Errorf("it has an object with more than %d members", maxMembers)
	errEmpty   = errors.New("empty")
	errMany    = errors.New("more than one JSON value")
)

// appendValue appends the one JSON value that data holds to dst, white space
// left out and all else as it is.
func appendValue(dst, data []byte) ([]byte, error) {
	if len(bytes.TrimSpace(data)) == 0 {
		return dst, errEmpty
	}
	var depth depthMeter
	if err := depth.add(data); err != nil {
		return dst, err
	}
	out, err := jsontext.AppendFormat(dst, data,
		jsontext.AllowDuplicateNames(false), jsontext.AllowInvalidUTF8(false), jsontext.PreserveRawStrings(true))
	if err != nil {
		return dst, explainOutput(data, err)
	}
	return out, nil
}

// checkValue reads r to its end and says what keeps it from being one JSON
// value.
func checkValue(ctx context.Context, r io.Reader) error {
	dec := jsontext.NewDecoder(&depthReader{ctx: ctx, r: r})
	err := dec.SkipValue()
	if errors.Is(err, io.EOF) && dec.InputOffset() == 0 {
		return errEmpty
	}
	if err != nil {
		return streamFault(err)
	}
	switch _, err := dec.ReadToken(); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return streamFault(err)
	}
	return fmt.Errorf("%w; the second begins near byte %d", errMany, dec.InputOffset())
}

func streamFault(err error) error {
	var syntax *jsontext.SyntacticError
	switch {
	case errors.Is(err, errDepth):
		return errDepth
	case errors.Is(err, errMembers):
		return errMembers
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("not JSON: it ends in the middle of a value")
	case errors.As(err, &syntax):
		return fmt.Errorf("not JSON: %w at byte %d", syntax.Err, syntax.ByteOffset)
	}
	return err
}

// depthMeter counts how deep brackets are nested in the JSON that it is given,
// and how many members an object has: the decoder remembers their names.
type depthMeter struct {
	depth           int
	quoted, escaped bool
	members         [maxDepth + 1]int32 // of the object at each depth
}

func (m *depthMeter) add(data []byte) error {
	for i := 0; i < len(data); i++ {
		c := data[i]
		switch {
		case m.escaped:
			m.escaped = false
		case m.quoted:
			m.escaped, m.quoted = c == '\\', c != '"'
		case c == '"':
			m.quoted = true
		case c == '{' || c == '[':
			if m.depth++; m.depth > maxDepth {
				return errDepth
			}
			m.members[max(m.depth, 0)] = 0
		case c == '}' || c == ']':
			m.depth--
		case c == ':' && m.depth > 0:
			if m.members[m.depth]++; m.members[m.depth] > maxMembers {
				return errMembers
			}
		}
	}
	return nil
}

type depthReader struct {
	ctx context.Context
	r   io.Reader
	m   depthMeter
}

func (d *depthReader) Read(p []byte) (int, error) {
	if d.ctx.Err() != nil {
		return 0, context.Cause(d.ctx)
	}
	n, err := d.r.Read(p)
	if deep := d.m.add(p[:n]); deep != nil {
		return 0, deep
	}
	return n, err
}

// clean makes text that came from a program fit to be stored and shown: as a
// terminal shows it, valid UTF-8 without control characters, at most limit bytes.
func clean(text string, limit int) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r == 0x7f {
			return -1
		}
		return r
	}, logtext.Render(text))
	if len(text) <= limit {
		return text
	}
	return logtext.First(text, limit-len("…")) + "…"
}
