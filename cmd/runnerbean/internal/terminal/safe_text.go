// Package terminal writes what jobs, programs and nodes say so that a terminal is not
// harmed by it: text, progress bars and JSON.
package terminal

import (
	"encoding/json"
	"fmt"
	"io"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/runnerbean/runnerbean/internal/logtext"
)

// Safe makes text from a job or a program safe for one line of a terminal. It returns
// what the text would leave on a terminal, with control characters spelled out.
func Safe(text string) string { return logtext.Visible(logtext.Render(text), false) }

// SafeLines does what [Safe] does, and keeps line ends and tabs.
func SafeLines(text string) string { return logtext.Visible(logtext.Render(text), true) }

// printable replaces control characters in a JSON text by JSON escapes. The meaning of
// the text stays the same, because such characters occur only in strings.
func printable(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for i, r := range string(text) {
		switch {
		case r == '\n' || r < 0x7f:
			out = append(out, byte(r))
		case unicode.IsControl(r) || unicode.Is(unicode.Cf, r):
			for _, unit := range utf16.Encode([]rune{r}) {
				out = fmt.Appendf(out, `\u%04x`, unit)
			}
		default:
			_, size := utf8.DecodeRune(text[i:])
			out = append(out, text[i:i+size]...)
		}
	}
	return out
}

// PrintJSON prints v as indented JSON.
func PrintJSON(w io.Writer, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s\n", printable(data))
	return err
}

// PrintLineJSON prints v as JSON on one line.
func PrintLineJSON(w io.Writer, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s\n", printable(data))
	return err
}
