package worker

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/runnerbean/runnerbean/internal/validate"
	"github.com/runnerbean/runnerbean/jobs"
)

const (
	// maxQuote is how much of a line is repeated in a message, in bytes.
	maxQuote = 120
	// maxStarts is how many places are tried for the beginning of a result that
	// has other text before it, and maxStartBytes how much is read for that.
	maxStarts     = 64
	maxStartBytes = 256 << 20
)

const toStderr = "; write logs to standard error"

// outputError says what keeps the standard output of a program from being one
// JSON value. The pointer is into that value; empty where it is not known.
type outputError struct{ message, pointer string }

func (e *outputError) Error() string { return e.message }

// outputFault is the end of an attempt whose stdout is not one good JSON value.
// Another attempt would print the same.
func outputFault(err error) error {
	var over *fault
	if errors.As(err, &over) {
		return over
	}
	f := &fault{outcome: jobs.OutcomeError, final: true}
	var wrong *validate.Mismatch
	var bad *outputError
	switch {
	case errors.As(err, &wrong):
		f.message, f.pointer = "the result is not what program.json promises: "+wrong.Error(), wrong.Pointer
	case errors.As(err, &bad):
		f.message, f.pointer = bad.message, bad.pointer
	case errors.Is(err, errEmpty):
		f.message = "it ended well but wrote nothing to stdout, where its result, one JSON value, is expected"
	default:
		f.message = "stdout must be exactly one JSON value: " + err.Error()
	}
	return f
}

// explainOutput says why data is not one JSON value, which err has found.
func explainOutput(data []byte, err error) error {
	if text, rest := strayBefore(data); rest != nil {
		return &outputError{message: fmt.Sprintf("it printed %s before the result%s%s", quoteLine(text), toStderr, linesOf(text))}
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

// strayBefore finds the result that begins after other text. The rest is nil
// where there is none, or where the text is a JSON value, too.
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

// resultStarts are the places where a result may begin that does not begin
// data: at a line, or at the first bracket.
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

// strayAfter is for data with more in it than the value that ends at end.
func strayAfter(data []byte, end int) error {
	rest := data[end:]
	start := len(data) - len(bytes.TrimLeft(rest, " \t\r\n"))
	if !jsontext.Value(firstLine(rest)).IsValid() && !jsontext.Value(rest).IsValid() {
		return &outputError{message: fmt.Sprintf("it printed %s after the result%s (%s)", quoteLine(rest), toStderr, place(data, start))}
	}
	return fmt.Errorf("%w, %s and then %s; the second begins at %s%s",
		errMany, quoteLine(data[:end]), quoteLine(rest), place(data, start), toStderr)
}

var (
	notNumber   = regexp.MustCompile(`^[-+]?(?i:nan|inf|infinity)$`)
	pythonValue = regexp.MustCompile(`^(?:None|True|False)$`)
)

// explainSyntax says where data is not JSON, and what to do where the mistake
// is a common one.
func explainSyntax(data []byte, syntax *jsontext.SyntacticError) error {
	offset := min(max(int(syntax.ByteOffset), 0), len(data))
	pointer, where := string(syntax.JSONPointer), place(data, offset)
	word := wordAt(data, offset)
	bad := &outputError{pointer: pointer}
	switch {
	case notNumber.MatchString(word):
		bad.message = fmt.Sprintf("the result has %s%s, at %s, which JSON does not have: write null or leave it out; "+
			"in Python, replace it by None (json.dumps(result, allow_nan=False) fails where one is left)", word, at(pointer), where)
	case pythonValue.MatchString(word), bytes.HasPrefix(data[offset:], []byte("'")):
		bad.message = fmt.Sprintf("stdout must be exactly one JSON value: not JSON: %s at %s, in the line %s; "+
			"it looks like Python's own notation: print(json.dumps(result))", syntax.Err, where, quoteLine(lineAt(data, offset)))
	case bytes.HasPrefix(data, []byte("\xef\xbb\xbf")), bytes.HasPrefix(data, []byte("\xff\xfe")), bytes.HasPrefix(data, []byte("\xfe\xff")):
		bad.message = "stdout begins with a byte order mark; write UTF-8 without one"
	default:
		bad.message = fmt.Sprintf("stdout must be exactly one JSON value: not JSON: %s%s at %s, in the line %s",
			syntax.Err, at(pointer), where, quoteLine(lineAt(data, offset)))
		if len(bytes.TrimSpace(data[:offset])) == 0 {
			bad.message += toStderr
		}
	}
	return bad
}

// at names the place in the result; empty for the whole of it.
func at(pointer string) string {
	if pointer == "" {
		return ""
	}
	return " at " + clean(pointer, maxQuote)
}

// wordAt is the word of letters around a position in data, with its sign.
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

// lineAt is the line of data around offset.
func lineAt(data []byte, offset int) []byte {
	return firstLine(data[bytes.LastIndexByte(data[:offset], '\n')+1:])
}

// firstLine is the first line of data that says anything.
func firstLine(data []byte) []byte {
	line, _, _ := bytes.Cut(bytes.TrimSpace(data), []byte("\n"))
	return line
}

// quoteLine is the first line of data for a message, as a terminal would leave
// it.
func quoteLine(data []byte) string {
	line := bytes.TrimSpace(firstLine(data[:min(len(data), 64<<10)]))
	line = line[bytes.LastIndexByte(line, '\r')+1:]
	return "'" + strings.TrimSpace(clean(string(line), maxQuote)) + "'"
}

// linesOf says how many lines the text has, if they are several.
func linesOf(text []byte) string {
	if n := bytes.Count(bytes.TrimSpace(text), []byte("\n")); n > 0 {
		return fmt.Sprintf(" (%d lines of it)", n+1)
	}
	return ""
}

// place is a position in data as a person counts.
func place(data []byte, offset int) string {
	offset = min(max(offset, 0), len(data))
	line := bytes.Count(data[:offset], []byte("\n")) + 1
	column := offset - bytes.LastIndexByte(data[:offset], '\n')
	return fmt.Sprintf("line %d, column %d (byte %d)", line, column, offset)
}
