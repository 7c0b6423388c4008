package settings

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"unicode/utf8"
)

// maxEnvFile is the largest size of a file of settings, in bytes.
const maxEnvFile = 1 << 20

// variable is one entry of an environment.
type variable struct{ name, value string }

// readEnvFile reads a file of settings as systemd reads an EnvironmentFile. Lines that
// systemd ignores are errors.
func readEnvFile(path string) ([]variable, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxEnvFile+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxEnvFile {
		return nil, fmt.Errorf("%s has more than 1 MiB", path)
	}
	list, err := parseEnvFile(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return list, nil
}

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// parseEnvFile reads NAME=value lines. A line that begins with # or ; is a comment.
// Values may be in single or double quotes, and then span several lines. Outside of
// single quotes a backslash quotes the next character, or joins two lines. Variables
// are not expanded.
func parseEnvFile(text string) ([]variable, error) {
	if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		return nil, errors.New("it is not text in UTF-8")
	}
	text = strings.ReplaceAll(strings.TrimPrefix(text, "\ufeff"), "\r\n", "\n")
	p := envParser{rest: text, line: 1}
	var list []variable
	for p.rest != "" {
		line := p.line
		v, ok, err := p.entry()
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		if ok {
			list = append(list, v)
		}
	}
	return list, nil
}

type envParser struct {
	rest string
	line int
}

// next consumes one byte.
func (p *envParser) next() byte {
	c := p.rest[0]
	p.rest = p.rest[1:]
	if c == '\n' {
		p.line++
	}
	return c
}

// entry consumes one line, or several lines that belong together. ok is false where
// they set nothing.
func (p *envParser) entry() (v variable, ok bool, err error) {
	line, _, _ := strings.Cut(p.rest, "\n")
	if trimmed := strings.TrimLeft(line, " \t\r"); trimmed == "" || trimmed[0] == '#' || trimmed[0] == ';' {
		p.skip(len(line))
		return v, false, nil
	}
	name, _, found := strings.Cut(line, "=")
	v.name = strings.TrimSpace(name)
	switch {
	case !found, !variableName.MatchString(v.name): // the error does not quote the line, which may hold a secret
		return v, false, errors.New("it is not NAME=value with a name of letters, digits and underscores")
	}
	p.rest = p.rest[len(name)+1:]
	v.value, err = p.value()
	return v, true, err
}

// skip consumes n bytes of a line, and its end.
func (p *envParser) skip(n int) {
	p.rest = p.rest[n:]
	if p.rest != "" {
		p.next()
	}
}

// value consumes the rest of the line: quoted pieces without the blanks between them,
// then an unquoted piece.
func (p *envParser) value() (string, error) {
	var out strings.Builder
	for p.rest != "" {
		switch c := p.rest[0]; c {
		case ' ', '\t', '\r':
			p.next()
		case '\n':
			p.next()
			return out.String(), nil
		case '\'', '"':
			p.next()
			if err := p.quoted(&out, c); err != nil {
				return "", err
			}
		default:
			p.plain(&out)
			return out.String(), nil
		}
	}
	return out.String(), nil
}

// quoted consumes everything up to the closing quote, and the quote.
func (p *envParser) quoted(out *strings.Builder, quote byte) error {
	for p.rest != "" {
		c := p.next()
		switch {
		case c == quote:
			return nil
		case c == '\\' && quote == '"' && p.rest != "":
			if c = p.next(); c == '\n' {
				continue
			}
			if !strings.ContainsRune("\"\\`$", rune(c)) {
				out.WriteByte('\\')
			}
		}
		out.WriteByte(c)
	}
	return fmt.Errorf("a closing %c is missing", quote)
}

// plain consumes the rest of the line. It drops the blanks at its end.
func (p *envParser) plain(out *strings.Builder) {
	kept := out.Len() // up to the last byte that is escaped or not a blank
	var text strings.Builder
	text.WriteString(out.String())
	for p.rest != "" {
		c := p.next()
		if c == '\n' {
			break
		}
		if c == '\\' && p.rest != "" {
			if c = p.next(); c == '\n' {
				continue
			}
			text.WriteByte(c)
			kept = text.Len()
			continue
		}
		text.WriteByte(c)
		if c != ' ' && c != '\t' && c != '\r' {
			kept = text.Len()
		}
	}
	value := text.String()[:kept]
	out.Reset()
	out.WriteString(value)
}

// LoadEnvFile sets the variables of a file that the environment does not set.
func LoadEnvFile(path string) error {
	list, err := readEnvFile(path)
	if err != nil {
		return &Error{fmt.Errorf("--env-file: %w", err)}
	}
	return SetMissing(list)
}

// SetMissing sets variables that the environment does not set. Of several with one
// name the last one counts.
func SetMissing(list []variable) error {
	given := map[string]bool{}
	for _, v := range list {
		_, given[v.name] = os.LookupEnv(v.name)
	}
	for _, v := range list {
		if given[v.name] {
			continue
		}
		if err := os.Setenv(v.name, v.value); err != nil {
			return err
		}
	}
	return nil
}
