package strictjson

import (
	"bytes"
	"context"
	"fmt"
	"io"
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
)

// CheckDepth returns an error if JSON text is nested too deeply or has an object
// with too many members. It accepts text that is not JSON.
func CheckDepth(text []byte) error {
	var m depthMeter
	return m.add(text)
}

// depthMeter counts how deeply brackets are nested in a stream of JSON, and the
// members of each object: the decoder keeps their names in memory.
type depthMeter struct {
	depth           int
	quoted, escaped bool
	members         [maxDepth + 1]int32 // of the object at each depth
}

func (m *depthMeter) add(data []byte) error {
	quote, slash := -1, -1 // the next ones; each byte is looked at once for each
	for i := 0; i < len(data); i++ {
		c := data[i]
		switch {
		case m.escaped:
			m.escaped = false
		case m.quoted:
			if quote < i {
				quote = next(data, i, '"')
			}
			if slash < i {
				slash = next(data, i, '\\')
			}
			if i = min(quote, slash); i < len(data) {
				m.escaped, m.quoted = slash < quote, slash < quote
			}
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

// next returns the offset of the next c in data from i on, or the length of data.
func next(data []byte, i int, c byte) int {
	if n := bytes.IndexByte(data[i:], c); n >= 0 {
		return i + n
	}
	return len(data)
}

// depthReader is a reader of JSON within the bounds of depthMeter, until ctx ends.
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
