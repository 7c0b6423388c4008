package access

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"strings"
	"time"
)

// SessionTime is how long a browser stays signed in.
const SessionTime = 12 * time.Hour

// maxSession bounds the text of a session, in bytes.
const maxSession = 256

// SessionEntry is the content of a session's text.
type SessionEntry struct {
	Token Token
	// ID tells sessions apart; it is no secret.
	ID  string
	End time.Time
}

// Session returns the text of a new session: name.end.nonce.MAC. A browser keeps it
// instead of the token. The MAC key comes from the token's hash, so every node with the
// same file accepts the session until the token is removed.
func Session(t Token, now time.Time) (text string, end time.Time) {
	end = now.Add(SessionTime)
	if !t.Expires.IsZero() && t.Expires.Before(end) {
		end = t.Expires
	}
	body := t.Name + "." + strconv.FormatInt(end.Unix(), 10) + "." + rand.Text()
	return body + "." + seal(t, body), end
}

// Session parses the text of a session and reports whether the session and its token are
// valid. The caller checks whether the session was ended early.
func (t *Tokens) Session(text string, now time.Time) (SessionEntry, bool) {
	if len(text) > maxSession {
		return SessionEntry{}, false
	}
	parts := strings.Split(text, ".")
	if len(parts) != 4 {
		return SessionEntry{}, false
	}
	token, ok := t.named(parts[0], now)
	if !ok || !hmac.Equal([]byte(seal(token, strings.Join(parts[:3], "."))), []byte(parts[3])) {
		return SessionEntry{}, false
	}
	end, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil || now.Unix() >= end {
		return SessionEntry{}, false
	}
	return SessionEntry{Token: token, ID: parts[2], End: time.Unix(end, 0)}, true
}

// seal returns the MAC of a session's text under the token's key.
func seal(t Token, body string) string {
	key := mac(t.Hash[:], "runnerbean session v2")
	return base64.RawURLEncoding.EncodeToString(mac(key, body))
}

func mac(key []byte, text string) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(text))
	return m.Sum(nil)
}
