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

// SessionEntry is what the text of a session says.
type SessionEntry struct {
	Token Token
	// ID tells sessions apart; it is no secret.
	ID  string
	End time.Time
}

// Session makes the text that a browser keeps after it has shown a token:
// name.end.nonce.MAC. The key comes from the token's hash, so that every node
// with the same file takes it, and that it ends when the token is removed.
func Session(t Token, now time.Time) (text string, end time.Time) {
	end = now.Add(SessionTime)
	if !t.Expires.IsZero() && t.Expires.Before(end) {
		end = t.Expires
	}
	body := t.Name + "." + strconv.FormatInt(end.Unix(), 10) + "." + rand.Text()
	return body + "." + seal(t, body), end
}

// Session reads the text of a session and reports whether it and its token are
// in force. The caller asks whether it was ended before its time.
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

// seal is the MAC of a session's text under the token's key.
func seal(t Token, body string) string {
	key := mac(t.Hash[:], "runnerbean session v2")
	return base64.RawURLEncoding.EncodeToString(mac(key, body))
}

func mac(key []byte, text string) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(text))
	return m.Sum(nil)
}
