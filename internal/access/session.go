package access

import (
	"crypto/hmac"
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

// Session is what a browser keeps after it has shown a token: name.end.MAC.
// The key comes from the token's hash, so that every node with the same file
// takes it, and that it ends when the token is removed from the file.
func Session(t Token, now time.Time) (text string, end time.Time) {
	end = now.Add(SessionTime)
	if !t.Expires.IsZero() && t.Expires.Before(end) {
		end = t.Expires
	}
	body := t.Name + "." + strconv.FormatInt(end.Unix(), 10)
	return body + "." + seal(t, body), end
}

// Session returns the entry of the token that a session stands for, while
// both are in force.
func (t *Tokens) Session(text string, now time.Time) (Token, bool) {
	if len(text) > maxSession {
		return Token{}, false
	}
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return Token{}, false
	}
	token, ok := t.named(parts[0], now)
	if !ok || !hmac.Equal([]byte(seal(token, parts[0]+"."+parts[1])), []byte(parts[2])) {
		return Token{}, false
	}
	end, err := strconv.ParseInt(parts[1], 10, 64)
	return token, err == nil && now.Unix() < end
}

// seal is the MAC of a session's text under the token's key.
func seal(t Token, body string) string {
	key := mac(t.Hash[:], "runnerbean session v1")
	return base64.RawURLEncoding.EncodeToString(mac(key, body))
}

func mac(key []byte, text string) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(text))
	return m.Sum(nil)
}
