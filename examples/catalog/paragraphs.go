package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Bounds of a paragraph. What is beyond them is read over, not kept.
const (
	maxLine      = 64 << 10 // bytes that are looked at
	maxParagraph = 1 << 20  // bytes
	maxFields    = 200
	maxValue     = 1 << 10 // bytes of a value that is kept
)

// kept are the fields that a record is made of, in lower case.
var kept = map[string]bool{"package": true, "version": true, "section": true, "installed-size": true, "architecture": true}

// paragraph is one paragraph of a file in the format of deb822(5).
type paragraph struct {
	Line   int64 // of its first line, from 1
	Fields map[string]string
	// Err says why it is malformed; nil if it is not. Then Fields is not complete.
	Err error
}

// reader reads paragraphs one at a time. It takes no more memory than one paragraph may have.
type reader struct {
	in   *bufio.Reader
	line int64
}

func newReader(in io.Reader) *reader { return &reader{in: bufio.NewReaderSize(in, maxLine)} }

var (
	errLarge   = fmt.Errorf("it is larger than %d bytes", maxParagraph)
	errMany    = fmt.Errorf("it has more than %d fields", maxFields)
	errValue   = fmt.Errorf("a value is longer than %d bytes", maxValue)
	errText    = errors.New("a line is not UTF-8")
	errNoName  = errors.New("a line is no field: it has no name before a colon")
	errNoField = errors.New("it begins with a continuation line")
	errTwice   = errors.New("a field occurs twice")
)

// next returns the next paragraph. The error is io.EOF at the end, or that of the file.
func (r *reader) next() (p paragraph, err error) {
	b := builder{seen: map[string]bool{}}
	for {
		line, size, err := r.readLine()
		if err != nil && (err != io.EOF || b.size == 0) {
			return paragraph{}, err
		}
		blank := size == int64(len(line)) && len(bytes.TrimRight(line, " \t\r\n")) == 0
		switch {
		case err == io.EOF, blank && b.size > 0:
			p.Fields, p.Err = b.fields, b.err
			return p, nil
		case blank:
			continue
		case b.size == 0:
			p.Line = r.line
		}
		b.add(line, size)
	}
}

// readLine returns the beginning of a line, and how long it is, both with its end. After the
// last line err is io.EOF.
func (r *reader) readLine() (line []byte, size int64, err error) {
	line, err = r.in.ReadSlice('\n')
	if len(line) > 0 {
		r.line++
	}
	size = int64(len(line))
	if err == bufio.ErrBufferFull {
		line = bytes.Clone(line) // the next read writes over it
	}
	for err == bufio.ErrBufferFull {
		var more []byte
		more, err = r.in.ReadSlice('\n')
		size += int64(len(more))
	}
	if err == io.EOF && len(line) > 0 {
		err = nil
	}
	return line, size, err
}

// builder collects the fields of one paragraph until the first fault.
type builder struct {
	fields map[string]string
	seen   map[string]bool
	open   string // the field that a continuation line belongs to, if it is kept
	size   int64
	err    error
}

func (b *builder) fail(err error) {
	if b.err == nil {
		b.err = err
	}
}

// add adds a line of size bytes, of which line is the beginning.
func (b *builder) add(line []byte, size int64) {
	if b.size = min(b.size+size, maxParagraph+1); b.size > maxParagraph {
		b.fail(errLarge)
	}
	switch {
	case b.err != nil:
	case !validText(line, size):
		b.fail(errText)
	case line[0] == ' ' || line[0] == '\t':
		b.resume(line)
	default:
		b.field(line)
	}
}

// validText reports whether a line is UTF-8. A character may be cut off at the end of a beginning.
func validText(line []byte, size int64) bool {
	if int64(len(line)) < size {
		for n := 1; n < utf8.UTFMax; n++ {
			if start := len(line) - n; utf8.RuneStart(line[start]) {
				if !utf8.FullRune(line[start:]) {
					line = line[:start]
				}
				break
			}
		}
	}
	return utf8.Valid(line)
}

func (b *builder) resume(line []byte) {
	if len(b.seen) == 0 {
		b.fail(errNoField)
		return
	}
	if b.open != "" {
		b.set(b.fields[b.open] + "\n" + strings.TrimSpace(string(line)))
	}
}

func (b *builder) field(line []byte) {
	name, value, found := bytes.Cut(line, []byte(":"))
	if !found || !validName(name) {
		b.fail(errNoName)
		return
	}
	lower := strings.ToLower(string(name))
	switch {
	case b.seen[lower]:
		b.fail(errTwice)
		return
	case len(b.seen) == maxFields:
		b.fail(errMany)
		return
	}
	b.seen[lower] = true
	if b.open = ""; kept[lower] {
		b.open = lower
		b.set(string(bytes.TrimSpace(value)))
	}
}

func (b *builder) set(value string) {
	if len(value) > maxValue {
		b.fail(errValue)
		return
	}
	if b.fields == nil {
		b.fields = map[string]string{}
	}
	b.fields[b.open] = value
}

// validName reports whether a field may have this name: printable ASCII without spaces and
// colons, and neither "#" nor "-" first.
func validName(name []byte) bool {
	if len(name) == 0 || name[0] == '#' || name[0] == '-' {
		return false
	}
	for _, c := range name {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return true
}
