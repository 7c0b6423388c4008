// Package jsonvalue prepares JSON values for pages: as laid-out text, as a tree, as
// tables, and as single scalars.
package jsonvalue

import (
	"bytes"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/runnerbean/runnerbean/internal/logtext"
)

const (
	// maxPretty is the size in bytes up to which JSON is laid out.
	maxPretty = 1 << 20
	// maxIndent is the depth up to which values are laid out. A deeper value stays
	// on one line.
	maxIndent = 24
	jsonWidth = 92 // characters of a line
)

// Pretty returns at most limit bytes of JSON with line breaks and indentation.
// A value that fits on a line stays on it, and a long array of scalars fills
// lines. It reports whether it cut the text.
func Pretty(raw []byte, limit int) (string, bool) {
	raw = bytes.TrimSpace(raw)
	p := &printer{limit: limit}
	if len(raw) > maxPretty {
		p.write(string(raw[:min(len(raw), 2*limit)]))
	} else {
		p.value(raw, 0)
	}
	s := p.b.String()
	if p.cut {
		s = s[:limit]
	}
	return logtext.Visible(strings.ToValidUTF8(s, ""), true), p.cut
}

type printer struct {
	b     strings.Builder
	limit int
	cut   bool
}

func (p *printer) write(parts ...string) {
	for _, s := range parts {
		if p.cut = p.cut || p.b.Len()+len(s) > p.limit; p.cut {
			p.b.WriteString(s[:min(len(s), max(p.limit-p.b.Len(), 0))])
			return
		}
		p.b.WriteString(s)
	}
}

func (p *printer) value(raw []byte, depth int) {
	if p.cut {
		return
	}
	nested := len(raw) > 0 && (raw[0] == '{' || raw[0] == '[')
	if !nested || len(raw) <= jsonWidth-2*depth || depth >= maxIndent {
		p.write(spaced(raw))
		return
	}
	if list, ok := Elements(raw); ok {
		p.fill(list, depth+1)
		return
	}
	p.open(raw, depth+1)
}

// open writes each member of an object, or each element of an array, on a line of
// its own.
func (p *printer) open(raw []byte, depth int) {
	d := jsontext.NewDecoder(bytes.NewBuffer(raw), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if _, err := d.ReadToken(); err != nil {
		p.write(string(raw))
		return
	}
	p.write(string(raw[:1]))
	object := raw[0] == '{'
	comma := ""
	for d.PeekKind() != ']' && d.PeekKind() != '}' && !p.cut {
		part, err := d.ReadValue()
		if err != nil {
			p.write(" …")
			return
		}
		p.write(comma, "\n", strings.Repeat("  ", depth))
		comma = ","
		if object {
			p.write(string(part), ": ")
			if part, err = d.ReadValue(); err != nil {
				return
			}
		}
		p.value(part, depth)
	}
	p.write("\n", strings.Repeat("  ", depth-1), string(raw[len(raw)-1:]))
}

// fill writes scalars one after the other, in lines of jsonWidth.
func (p *printer) fill(list [][]byte, depth int) {
	margin := "\n" + strings.Repeat("  ", depth)
	p.write("[")
	at := jsonWidth
	for i, e := range list {
		if p.cut {
			return
		}
		if at+len(e)+2 > jsonWidth {
			p.write(margin)
			at = len(margin)
		} else {
			p.write(" ")
		}
		p.write(string(e))
		at += len(e) + 2
		if i < len(list)-1 {
			p.write(",")
		}
	}
	p.write(margin[:len(margin)-2], "]")
}

// spaced returns JSON with a space after each colon and comma outside strings.
func spaced(raw []byte) string {
	var b strings.Builder
	inside := false
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		b.WriteByte(c)
		switch {
		case inside && c == '\\' && i+1 < len(raw):
			i++
			b.WriteByte(raw[i])
		case c == '"':
			inside = !inside
		case !inside && (c == ':' || c == ',') && i+1 < len(raw) && raw[i+1] != ' ':
			b.WriteByte(' ')
		}
	}
	return b.String()
}
