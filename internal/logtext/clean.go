package logtext

import (
	"strings"
)

// Clean prepares the text of a program to be stored and shown. It returns the text as a
// terminal shows it: valid UTF-8 without control characters, at most limit bytes. Text
// that is cut ends with "…".
func Clean(text string, limit int) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r == 0x7f {
			return -1
		}
		return r
	}, Render(text))
	if len(text) <= limit {
		return text
	}
	return First(text, limit-len("…")) + "…"
}
