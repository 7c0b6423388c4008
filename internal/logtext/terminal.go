// Package logtext makes the output of programs readable. It renders a log as a terminal
// shows it, without characters that hide or imitate others. Logs are stored as they
// were written, and rendered when they are shown.
package logtext

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Render returns a log, or a part of one, as a terminal shows it. A carriage return
// overwrites its line, CR LF ends a line, a backspace deletes a character, and escape
// sequences (ECMA-48) are removed. The result is valid UTF-8. A byte that is part of no
// character becomes \xNN.
func Render(log string) string {
	if !needed(log) {
		return log
	}
	var out strings.Builder
	var l line
	for rest, more := log, true; more; {
		var text string
		text, rest, more = strings.Cut(rest, "\n")
		out.WriteString(l.render(text))
		if more {
			out.WriteByte('\n')
		}
	}
	return out.String()
}

// Line returns the last rendered line that is not blank, or "" if there is none.
func Line(log string) string {
	text := strings.TrimSpace(Render(log))
	return strings.TrimSpace(text[strings.LastIndexByte(text, '\n')+1:])
}

// needed reports whether rendering changes log.
func needed(log string) bool {
	return strings.ContainsAny(log, "\r\b\x1b") || !utf8.ValidString(log)
}

// line is the content of one line of a terminal.
type line struct {
	text []byte
	home bool // the next character overwrites the line
}

// render returns the content of the line after text. The result is valid until the next
// call.
func (l *line) render(text string) string {
	if !needed(text) {
		return text
	}
	l.text, l.home = l.text[:0], false
	for text != "" {
		text = text[l.step(text):]
	}
	return string(l.text)
}

// step processes the first character or sequence of s and returns its length in bytes.
func (l *line) step(s string) int {
	switch s[0] {
	case '\r':
		l.home = true
		return 1
	case '\b':
		if !l.home {
			_, size := utf8.DecodeLastRune(l.text)
			l.text = l.text[:len(l.text)-size]
		}
		return 1
	case 0x1b:
		n := escapeLen(s)
		l.erase(s[:n])
		return n
	}
	if l.home {
		l.text, l.home = l.text[:0], false
	}
	r, size := utf8.DecodeRuneInString(s)
	if r == utf8.RuneError && size == 1 {
		l.text = fmt.Appendf(l.text, `\x%02x`, s[0])
	} else {
		l.text = append(l.text, s[:size]...)
	}
	return size
}

// erase executes a sequence that erases in the line. Other sequences have no effect.
func (l *line) erase(sequence string) {
	switch sequence {
	case "\x1b[K", "\x1b[0K", "\x1b[J", "\x1b[0J":
		if l.home {
			l.text = l.text[:0]
		}
	case "\x1b[1K", "\x1b[2K", "\x1b[2J":
		l.text = l.text[:0]
	}
}

// escapeLen returns the length in bytes of the escape sequence at the start of s.
func escapeLen(s string) int {
	if len(s) < 2 {
		return len(s)
	}
	switch s[1] {
	case '[':
		return csiLen(s)
	case ']', 'P', 'X', '^', '_':
		return stringLen(s)
	}
	i := 1
	for i < len(s) && s[i] >= 0x20 && s[i] <= 0x2f {
		i++
	}
	if i < len(s) && s[i] >= 0x30 && s[i] < 0x7f {
		i++
	}
	return i
}

// csiLen returns the length of a control sequence. A byte that cannot be part of the
// sequence is not counted.
func csiLen(s string) int {
	i := 2
	for i < len(s) && s[i] >= 0x20 && s[i] <= 0x3f {
		i++
	}
	if i < len(s) && s[i] >= 0x40 && s[i] < 0x7f {
		i++
	}
	return i
}

// stringLen returns the length of a control string, which ends at BEL, at ST or at the
// end of the line.
func stringLen(s string) int {
	for i := 2; i < len(s); i++ {
		switch {
		case s[i] == 0x07:
			return i + 1
		case s[i] == 0x1b && i+1 < len(s) && s[i+1] == '\\':
			return i + 2
		case s[i] == '\n' || s[i] == '\r' || s[i] == 0x1b:
			return i
		}
	}
	return len(s)
}
