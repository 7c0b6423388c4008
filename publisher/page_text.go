package publisher

import (
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// show makes a string of unknown origin fit for one line of a page: at most
// limit runes, with control, bidirectional and invisible characters spelled
// out, so that nothing can pose as something else.
func show(s string, limit int) string {
	return visible(clip(s, limit), false)
}

// clip cuts s after limit runes.
func clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	n := 0
	for i := range s {
		if n == limit {
			return s[:i] + "…"
		}
		n++
	}
	return s
}

// visible spells out what has no glyph of its own as \u{...}. With lines,
// newlines and tabs stay.
func visible(s string, lines bool) string {
	shy := func(r rune) bool { return hidden(r) && !(lines && (r == '\n' || r == '\t')) }
	if utf8.ValidString(s) && strings.IndexFunc(s, shy) < 0 {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case shy(r):
			fmt.Fprintf(&b, `\u{%x}`, r)
		default:
			b.WriteString(s[:size])
		}
		s = s[size:]
	}
	return b.String()
}

// hidden reports runes that reorder, hide or imitate. The joiners U+200C and
// U+200D stay, for scripts and emoji need them.
func hidden(r rune) bool {
	if r < 0x7f {
		return r < 0x20
	}
	return r != 0x200c && r != 0x200d && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co)
}

// maxLogShown is how much of a log a page holds, in bytes.
const maxLogShown = 32 << 10

// logText makes the end of a log readable: whole lines, no terminal escapes,
// and of a line that was written over only its last form.
func logText(tail []byte) string {
	s := string(tail)
	if len(s) > maxLogShown {
		s = s[len(s)-maxLogShown:]
		if i := strings.IndexByte(s, '\n'); i >= 0 && i < len(s)-1 {
			s = s[i+1:]
		}
	}
	lines := strings.Split(plain(s), "\n")
	for i, line := range lines {
		line = strings.TrimRight(line, "\r")
		lines[i] = line[strings.LastIndexByte(line, '\r')+1:]
	}
	return strings.TrimRight(visible(strings.Join(lines, "\n"), true), "\n")
}

// plain leaves out the escape sequences of terminals (ECMA-48).
func plain(s string) string {
	if !strings.Contains(s, "\x1b") {
		return s
	}
	var b strings.Builder
	for {
		i := strings.IndexByte(s, 0x1b)
		if i < 0 {
			b.WriteString(s)
			return b.String()
		}
		b.WriteString(s[:i])
		s = s[i+escapeLen(s[i:]):]
	}
}

// escapeLen is the length of the escape sequence that s begins with.
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

// csiLen ends at the final byte; anything that cannot be part of the sequence
// stays.
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

// stringLen ends at BEL or ST, or with the line.
func stringLen(s string) int {
	for i := 2; i < len(s); i++ {
		switch {
		case s[i] == 0x07:
			return i + 1
		case s[i] == 0x1b && i+1 < len(s) && s[i+1] == '\\':
			return i + 2
		case s[i] == '\n' || s[i] == 0x1b:
			return i
		}
	}
	return len(s)
}

// maxLink bounds the addresses that a page links to, in bytes.
const maxLink = 4096

// link lets through addresses of the web and paths on this server; anything
// else is no link.
func link(s string) string {
	u, err := url.Parse(s[:min(len(s), maxLink+1)])
	if err != nil || u.User != nil || len(s) > maxLink {
		return ""
	}
	web := (u.Scheme == "https" || u.Scheme == "http") && u.Host != ""
	local := u.Scheme == "" && u.Host == "" && strings.HasPrefix(s, "/") && !strings.HasPrefix(s, "//") && !strings.Contains(s, `\`)
	if !web && !local {
		return ""
	}
	return u.String()
}

// span writes a duration in words, with two units at most.
func span(d time.Duration) string {
	s := d.Seconds()
	switch {
	case d < 0:
		return "0 s"
	case s < 0.9995:
		return fmt.Sprintf("%.3g ms", s*1000)
	case s < 9.95:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", s), ".0") + " s"
	case s < 59.5:
		return fmt.Sprintf("%.0f s", s)
	case s < 3600-0.5:
		return units(int(s+0.5), 60, "min", "s")
	case s < day-30:
		return units(int(s+30)/60, 60, "h", "min")
	}
	return units(int((s+1800)/3600), 24, "d", "h")
}

func units(n, per int, large, small string) string {
	if n%per == 0 {
		return fmt.Sprintf("%d %s", n/per, large)
	}
	return fmt.Sprintf("%d %s %d %s", n/per, large, n%per, small)
}

// roughly is span for estimates: rounded so that it does not jitter.
func roughly(d time.Duration) string {
	switch {
	case d < 5*time.Second:
		return "a few seconds"
	case d < time.Minute:
		return span(d.Round(5 * time.Second))
	case d < 10*time.Minute:
		return span(d.Round(10 * time.Second))
	case d < time.Hour:
		return span(d.Round(time.Minute))
	}
	return span(d.Round(10 * time.Minute))
}

// bytesOf writes a size in bytes with a decimal prefix.
func bytesOf(n int64) string {
	v, unit := float64(n), 0
	for v >= 999.5 && unit < 5 {
		v, unit = v/1000, unit+1
	}
	if unit == 0 {
		return fmt.Sprintf("%d bytes", n)
	}
	return fmt.Sprintf("%.3g %cB", v, "kMGTP"[unit-1])
}
