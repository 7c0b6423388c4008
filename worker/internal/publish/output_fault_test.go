package publish

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/runnerbean/runnerbean/worker/internal/fault"
	"github.com/runnerbean/runnerbean/worker/internal/strictjson"
)

func TestOutputFault(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ out, message, pointer string }{
		"line before":  {"Loading model…\n{\"a\":1}\n", "it printed 'Loading model…' before the result; write logs to standard error", ""},
		"lines before": {"\nfirst\nsecond\n3 of 4\n[1,\n2]", "it printed 'first' before the result; write logs to standard error (3 lines of it)", ""},
		"same line":    {`Result: {"a":1}`, "it printed 'Result:' before the result; write logs to standard error", ""},
		"R":            {"[1] 5\n{\"a\":1}", "it printed '[1] 5' before the result; write logs to standard error", ""},
		"log format":   {"[info] start\n{\"a\":1}", "it printed '[info] start' before the result; write logs to standard error", ""},
		"date":         {"2026-11-26 12:00 start\n{\"a\":1}", "it printed '2026-11-26 12:00 start' before the result; write logs to standard error", ""},
		"progress":     {"10%\r100%\r\n{\"a\":1}", "it printed '100%' before the result; write logs to standard error", ""},
		"long":         {strings.Repeat("x", 500) + "\n1", "it printed '" + strings.Repeat("x", 117) + "…' before the result; write logs to standard error", ""},
		"control":      {"\x1b[32mok\x07\n1", "it printed 'ok' before the result; write logs to standard error", ""},
		"line after":   {"{\"a\":1}\ndone in 3 s\n", "it printed 'done in 3 s' after the result; write logs to standard error (line 2, column 1 (byte 8))", ""},
		"two":          {"{\"a\":1}\n{\"a\":2}\n", `stdout must be exactly one JSON value: more than one JSON value, '{"a":1}' and then '{"a":2}'; the second begins at line 2, column 1 (byte 8); write logs to standard error`, ""},
		"many":         {"1\n2\n3\n", "stdout must be exactly one JSON value: more than one JSON value, '1' and then '2'; the second begins at line 2, column 1 (byte 2); write logs to standard error", ""},
		"NaN":          {`{"a":[1,NaN]}`, "the result has NaN at /a/1, at line 1, column 9 (byte 8), which JSON does not have: write null", "/a/1"},
		"nan":          {"{\"a\":\n nan}", "the result has nan at /a, at line 2, column 3", "/a"},
		"-Infinity":    {`{"a":-Infinity}`, "the result has -Infinity at /a,", "/a"},
		"only NaN":     {"NaN\n", "the result has NaN, at line 1, column 1 (byte 0), which JSON does not have", ""},
		"inf":          {"[1.5, inf]", "the result has inf at /1,", "/1"},
		"-nan":         {`{"a":-nan}`, "the result has -nan at /a,", "/a"},
		"Python":       {"{'a': 1}", "in the line '{'a': 1}'; it looks like Python's own notation: print(json.dumps(result))", ""},
		"None":         {`{"a": None}`, "it looks like Python's own notation", "/a"},
		"word":         {"hello", "not JSON: invalid character 'h' at start of value at line 1, column 1 (byte 0), in the line 'hello'; write logs to standard error", ""},
		"inside":       {"{\"a\":1,\n \"b\": 2,}", "in the line '\"b\": 2,}'", ""},
		"duplicate":    {`{"a":1,"a":2}`, "duplicate object member name at /a", "/a"},
		"mark":         {"\xef\xbb\xbf1", "stdout begins with a byte order mark; write UTF-8 without one", ""},
		"UTF-16":       {"\xff\xfe1\x00", "stdout begins with a byte order mark; write UTF-8 without one", ""},
		"bytes":        {"\"\xff\"", "invalid UTF-8 at line 1, column 2", ""},
		"cut":          {"{\"a\":\n[1,", "not JSON: it ends in the middle of a value, at line 2, column 4 (byte 9)", ""},
		"cut after":    {"{\"a\":1}\n{\"b\":", "it printed '{\"b\":' after the result", ""},
		"empty":        {" \n", "wrote nothing to stdout", ""},
	} {
		_, err := strictjson.AppendValue(nil, []byte(c.out))
		if err == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		f := outputFault(err).(*fault.Fault)
		if !f.Final || !strings.Contains(f.Message, c.message) || f.Pointer != c.pointer {
			t.Errorf("%s: %q at %q (final: %t), want %q at %q", name, f.Message, f.Pointer, f.Final, c.message, c.pointer)
		}
	}
}

// FuzzOutputFault checks the bounds of the message about bad output.
func FuzzOutputFault(f *testing.F) {
	for _, seed := range []string{"x\n1", "[1] 2\n{}", "1\n2", `{"a":-Infinity}`, "{'a':None}", "\xef\xbb\xbf", "a\rb\r\n{", "}\n{\n[\n\"", "+", "nan"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		_, err := strictjson.AppendValue(nil, data)
		if err == nil {
			return
		}
		message := outputFault(err).(*fault.Fault).Message
		if len(message) > fault.MaxMessage || !utf8.ValidString(message) || strings.ContainsAny(message, "\x00\x1b\r") {
			t.Errorf("message is %q", message)
		}
	})
}
