package access

import (
	"crypto/subtle"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"
)

// Tokens are the tokens that a node accepts: those of a file, and the one of
// RUNNERBEAN_TOKEN.
type Tokens struct {
	file   *watchedFile[[]Token] // nil without a file
	single atomic.Pointer[Token] // nil without RUNNERBEAN_TOKEN
}

// OpenTokens reads the file of tokens if path is not empty, and accepts the operator's
// token single if that is not empty. An error names the line.
func OpenTokens(path, single string, log *slog.Logger) (*Tokens, error) {
	t := &Tokens{}
	if single != "" {
		if err := t.SetSingle(single); err != nil {
			return nil, err
		}
	}
	if path == "" {
		return t, nil
	}
	t.file = &watchedFile[[]Token]{
		paths: []string{path}, setting: "RUNNERBEAN_TOKENS_FILE", log: log,
		parse: func(contents []string) ([]Token, error) { return ParseTokens(contents[0]) },
	}
	return t, t.file.open()
}

// SetSingle replaces the token of RUNNERBEAN_TOKEN. The error is that it is too short.
func (t *Tokens) SetSingle(secret string) error {
	if len(secret) < MinSingle {
		return fmt.Errorf("the token of RUNNERBEAN_TOKEN has %d characters and needs at least %d; make one with: openssl rand -base64 24", len(secret), MinSingle)
	}
	t.single.Store(&Token{Name: Single, Role: Operator, Hash: Hash(secret)})
	return nil
}

// Reload reads the file of tokens now, if there is one, and logs what has come of it. A
// file with a fault changes nothing.
func (t *Tokens) Reload() {
	if t.file != nil {
		t.file.reload()
	}
}

// Wanted reports whether requests need a token. With an empty file, they need one that
// nobody has.
func (t *Tokens) Wanted() bool { return t.file != nil || t.single.Load() != nil }

// each calls use with every token.
func (t *Tokens) each(use func(Token)) {
	if single := t.single.Load(); single != nil {
		use(*single)
	}
	if t.file != nil {
		for _, token := range t.file.get() {
			use(token)
		}
	}
}

// Find returns the entry of a token and whether it is valid. It also returns an expired
// entry. It takes the same time in every case.
func (t *Tokens) Find(secret string, now time.Time) (found Token, ok bool) {
	hash := Hash(secret)
	t.each(func(token Token) {
		if subtle.ConstantTimeCompare(hash[:], token.Hash[:]) == 1 {
			found, ok = token, !token.Expired(now)
		}
	})
	return found, ok
}

// named returns the entry of a name and whether it is valid.
func (t *Tokens) named(name string, now time.Time) (found Token, ok bool) {
	t.each(func(token Token) {
		if token.Name == name {
			found, ok = token, !token.Expired(now)
		}
	})
	return found, ok
}

// Guessable reports whether guessing might find a secret, such as one that a person made
// up. It is false for a secret of the form that New returns.
func Guessable(secret string) bool { return !made(secret) }
