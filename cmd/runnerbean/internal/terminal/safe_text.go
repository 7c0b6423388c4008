package terminal

import (
	"encoding/json"
	"fmt"
	"io"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/runnerbean/runnerbean/internal/logtext"
) // clean makes text from a job or a program harmless on a terminal: as the

// terminal would have left it, with what could command or mislead spelled out.
func Safe(text string) string { return logtext.Visible(logtext.Render(text), false) }

// SafeLines is clean for a text of several lines: line ends and tabs stay.
func SafeLines(text string) string { return logtext.Visible(logtext.Render(text), true) }

// printable writes what a terminal could obey as escapes of JSON, which leaves
// the meaning of a JSON text as it is: such characters are in strings only.
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

func PrintJSON(w io.Writer, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s\n", printable(data))
	return err
}

// PrintLineJSON prints v on one line.
func PrintLineJSON(w io.Writer, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s\n", printable(data))
	return err
}
