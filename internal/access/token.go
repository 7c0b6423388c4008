// Package access decides who may use a node. It holds tokens with roles, browser
// sessions, keys of signed URLs, the server's certificate, and counts of failed attempts.
// It reloads its files after they change. The publisher uses it, and so does the command
// line, which edits the file of tokens.
package access

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Role is what the holder of a token may do.
type Role string

// The roles. An operator may do everything that the others may.
const (
	Viewer   Role = "viewer"   // read the pages and the API
	Operator Role = "operator" // read and change everything
	Submit   Role = "submit"   // submit jobs; read and cancel those that the same token has submitted
)

// Roles are all roles.
var Roles = []Role{Viewer, Operator, Submit}

// Token is one line of a file of tokens.
type Token struct {
	Name    string
	Role    Role
	Hash    [sha256.Size]byte
	Expires time.Time // zero means never
}

// Expired reports whether the token is no longer valid at now.
func (t Token) Expired(now time.Time) bool { return !t.Expires.IsZero() && !now.Before(t.Expires) }

// Single is the name of the token that RUNNERBEAN_TOKEN sets. MinSingle is its shortest
// length in bytes.
const (
	Single    = "token"
	MinSingle = 16
)

const (
	// tokenMark begins every token from New, so that people and scanners for leaked
	// secrets recognize one.
	tokenMark  = "rb_"
	tokenBytes = 32
	maxTokens  = 1000
)

// tokenName allows no dot, because dots separate the parts of a session.
var tokenName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)

// New returns a new token and its entry. No file contains the token itself, so a lost
// token must be replaced.
func New(name string, role Role, expires time.Time) (string, Token, error) {
	if !tokenName.MatchString(name) || name == Single {
		return "", Token{}, fmt.Errorf("%w: %q", errName, name)
	}
	if !slices.Contains(Roles, role) {
		return "", Token{}, fmt.Errorf("%w: %q", errRole, role)
	}
	secret := make([]byte, tokenBytes)
	rand.Read(secret) // never fails
	text := tokenMark + base64.RawURLEncoding.EncodeToString(secret)
	return text, Token{Name: name, Role: role, Hash: Hash(text), Expires: expires.UTC().Truncate(time.Second)}, nil
}

// Hash returns the form in which a file stores a token. A fast hash is enough: a token
// has 32 random bytes, so guessing cannot find it.
func Hash(token string) [sha256.Size]byte { return sha256.Sum256([]byte(token)) }

// made reports whether token has the form of a token from New, which guessing cannot
// find.
func made(token string) bool {
	secret, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(token, tokenMark))
	return err == nil && len(secret) == tokenBytes && strings.HasPrefix(token, tokenMark)
}

var (
	errName = errors.New("a name has letters, digits, underscore and hyphen, at most 64, and is not \"" + Single + "\", which is that of RUNNERBEAN_TOKEN")
	errRole = errors.New("a role is viewer, operator or submit")
	errLine = errors.New("a line is: name role sha256 [expires], the last one as 2027-01-31T00:00:00Z")
	errHash = errors.New("the third word is the SHA-256 of the token, 64 hexadecimal digits")
)

// String returns the token's line in the file.
func (t Token) String() string {
	line := fmt.Sprintf("%s %s %s", t.Name, t.Role, hex.EncodeToString(t.Hash[:]))
	if !t.Expires.IsZero() {
		line += " " + t.Expires.UTC().Format(time.RFC3339)
	}
	return line
}

// ParseTokens parses a file of tokens with one token on each line; # begins a comment.
// Errors name the line. They never quote it, because it may contain a secret by mistake.
func ParseTokens(text string) ([]Token, error) {
	var list []Token
	names := map[string]int{}
	number := 0
	for line := range strings.Lines(text) {
		number++
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		t, err := parseToken(fields)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		if first := names[t.Name]; first > 0 {
			return nil, fmt.Errorf("line %d: the name is that of line %d", number, first)
		}
		names[t.Name] = number
		if list = append(list, t); len(list) > maxTokens {
			return nil, fmt.Errorf("line %d: more than %d tokens", number, maxTokens)
		}
	}
	return list, nil
}

func parseToken(fields []string) (t Token, err error) {
	if len(fields) < 3 || len(fields) > 4 {
		return t, errLine
	}
	t.Name, t.Role = fields[0], Role(fields[1])
	if !tokenName.MatchString(t.Name) || t.Name == Single {
		return t, errName
	}
	if !slices.Contains(Roles, t.Role) {
		return t, errRole
	}
	if len(fields[2]) != hex.EncodedLen(len(t.Hash)) {
		return t, errHash
	}
	if _, err := hex.Decode(t.Hash[:], []byte(fields[2])); err != nil {
		return t, errHash
	}
	if len(fields) == 4 {
		if t.Expires, err = time.Parse(time.RFC3339, fields[3]); err != nil || t.Expires.Year() < 2000 || t.Expires.Year() > 9998 {
			return t, errLine
		}
	}
	return t, nil
}
