package strictjson

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/runnerbean/runnerbean/internal/logtext"
)

const (
	// maxQuote bounds a line that is quoted in a message, in bytes.
	maxQuote = 120
	// maxStarts bounds the offsets that are tried as the beginning of a value after
	// other text, and maxStartBytes the bytes that are read for that.
	maxStarts     = 64
	maxStartBytes = 256 << 20
)

const toStderr = "; write logs to standard error"

var (
	// ErrEmpty is the error for data that has nothing but white space.
	ErrEmpty = errors.New("empty")
	errMany  = errors.New("more than one JSON value")
)

// Invalid is the error for an output that is not one JSON value, written for the
// author of the program. Pointer is the place in the value; empty if unknown.
type Invalid struct{ Message, Pointer string }

func (e *Invalid) Error() string { return e.Message }

// explain returns an error that says why data is not one JSON value; err is the
// decoder's own.
func explain(data []byte, err error) error {
	if text, rest := strayBefore(data); rest != nil {
		return &Invalid{Message: fmt.Sprintf("it printed %s before the result%s%s", quoteLine(text), toStderr, linesOf(text))}
	}
	dec := jsontext.NewDecoder(bytes.NewReader(data))
	first := dec.SkipValue()
	if first == nil {
		return strayAfter(data, int(dec.InputOffset()))
	}
	var syntax *jsontext.SyntacticError
	switch {
	case errors.Is(first, io.EOF), errors.Is(first, io.ErrUnexpectedEOF):
		return fmt.Errorf("not JSON: it ends in the middle of a value, at %s", place(data, len(data)))
	case errors.As(first, &syntax):
		return explainSyntax(data, syntax)
	}
	return err
}

// strayBefore splits data into text and the JSON value after it. rest is nil if
// there is no such value or if the text is itself a JSON value.
func strayBefore(data []byte) (text, rest []byte) {
	budget := maxStartBytes
	for i, start := range resultStarts(data) {
		budget -= len(data) - start
		if i == maxStarts || budget < 0 {
			break
		}
		if !jsontext.Value(data[start:]).IsValid() {
			continue
		}
		text = data[:start]
		line, _, _ := bytes.Cut(bytes.TrimSpace(text), []byte("\n"))
		if len(line) == 0 || jsontext.Value(line).IsValid() {
			break
		}
		return text, data[start:]
	}
	return nil, nil
}

// resultStarts returns the offsets at which a value may begin after other text: at
// the first bracket and at the beginning of lines.
func resultStarts(data []byte) []int {
	var starts []int
	if i := bytes.IndexAny(data, "{["); i > 0 {
		starts = append(starts, i)
	}
	for at := 0; len(starts) <= maxStarts; {
		next := bytes.IndexByte(data[at:], '\n')
		if next < 0 {
			break
		}
		at += next + 1
		line := bytes.TrimLeft(data[at:], " \t\r")
		if len(line) > 0 && bytes.IndexByte([]byte(`{["-0123456789tfn`), line[0]) >= 0 {
			starts = append(starts, at)
		}
	}
	return starts
}

// strayAfter returns the error for data that goes on after the value that ends at end.
func strayAfter(data []byte, end int) error {
	rest := data[end:]
	start := len(data) - len(bytes.TrimLeft(rest, " \t\r\n"))
	if !jsontext.Value(firstLine(rest)).IsValid() && !jsontext.Value(rest).IsValid() {
		return &Invalid{Message: fmt.Sprintf("it printed %s after the result%s (%s)", quoteLine(rest), toStderr, place(data, start))}
	}
	return fmt.Errorf("%w, %s and then %s; the second begins at %s%s",
		errMany, quoteLine(data[:end]), quoteLine(rest), place(data, start), toStderr)
}

var (
	notNumber   = regexp.MustCompile(`^[-+]?(?i:nan|inf|infinity)$`)
	pythonValue = regexp.MustCompile(`^(?:None|True|False)$`)
)

// explainSyntax returns an error that says where data is not JSON and, for common
// mistakes, what to do.
func explainSyntax(data []byte, syntax *jsontext.SyntacticError) error {
	offset := min(max(int(syntax.ByteOffset), 0), len(data))
	pointer, where := string(syntax.JSONPointer), place(data, offset)
	word := wordAt(data, offset)
	bad := &Invalid{Pointer: pointer}
	switch {
	case notNumber.MatchString(word):
		bad.Message = fmt.Sprintf("the result has %s%s, at %s, which JSON does not have: write null or leave it out; "+
			"in Python, replace it by None (json.dumps(result, allow_nan=False) fails where one is left)", word, at(pointer), where)
	case pythonValue.MatchString(word), bytes.HasPrefix(data[offset:], []byte("'")):
		bad.Message = fmt.Sprintf("stdout must be exactly one JSON value: not JSON: %s at %s, in the line %s; "+
			"it looks like Python's own notation: print(json.dumps(result))", syntax.Err, where, quoteLine(lineAt(data, offset)))
	case bytes.HasPrefix(data, []byte("\xef\xbb\xbf")), bytes.HasPrefix(data, []byte("\xff\xfe")), bytes.HasPrefix(data, []byte("\xfe\xff")):
		bad.Message = "stdout begins with a byte order mark; write UTF-8 without one"
	default:
		bad.Message = fmt.Sprintf("stdout must be exactly one JSON value: not JSON: %s%s at %s, in the line %s",
			syntax.Err, at(pointer), where, quoteLine(lineAt(data, offset)))
		if len(bytes.TrimSpace(data[:offset])) == 0 {
			bad.Message += toStderr
		}
	}
	return bad
}

// at returns " at <pointer>" for a message; empty for the whole value.
func at(pointer string) string {
	if pointer == "" {
		return ""
	}
	return " at " + logtext.Clean(pointer, maxQuote)
}

// wordAt returns the word of letters around offset, with its sign.
func wordAt(data []byte, offset int) string {
	const longest = 16
	letter := func(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
	start, end := offset, offset
	for start > 0 && offset-start < longest && (letter(data[start-1]) || data[start-1] == '-' || data[start-1] == '+') {
		start--
	}
	if end < len(data) && (data[end] == '-' || data[end] == '+') {
		end++
	}
	for end < len(data) && end-offset < longest && letter(data[end]) {
		end++
	}
	return string(data[start:end])
}

// lineAt returns the line of data around offset.
func lineAt(data []byte, offset int) []byte {
	return firstLine(data[bytes.LastIndexByte(data[:offset], '\n')+1:])
}

// firstLine returns the first line of data that is not empty.
func firstLine(data []byte) []byte {
	line, _, _ := bytes.Cut(bytes.TrimSpace(data), []byte("\n"))
	return line
}

// quoteLine returns the first line of data in quotes, as a terminal shows it.
func quoteLine(data []byte) string {
	line := bytes.TrimSpace(firstLine(data[:min(len(data), 64<<10)]))
	line = line[bytes.LastIndexByte(line, '\r')+1:]
	return "'" + strings.TrimSpace(logtext.Clean(string(line), maxQuote)) + "'"
}

// linesOf returns the number of lines for a message; empty for one line.
func linesOf(text []byte) string {
	if n := bytes.Count(bytes.TrimSpace(text), []byte("\n")); n > 0 {
		return fmt.Sprintf(" (%d lines of it)", n+1)
	}
	return ""
}

// place returns the position of offset in data, with line and column from 1.
func place(data []byte, offset int) string {
	offset = min(max(offset, 0), len(data))
	line := bytes.Count(data[:offset], []byte("\n")) + 1
	column := offset - bytes.LastIndexByte(data[:offset], '\n')
	return fmt.Sprintf("line %d, column %d (byte %d)", line, column, offset)
}
