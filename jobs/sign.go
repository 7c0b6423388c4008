package jobs

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// MinURLKey is the length in bytes of the shortest key that signs URLs.
const MinURLKey = 32

// The query parameters of a signed URL.
const (
	ParamExpires   = "expires"
	ParamSignature = "signature"
)

var (
	// ErrSignature is a URL whose signature is missing or not that of the key.
	ErrSignature = errors.New("the URL has no valid signature")
	// ErrURLExpired is a URL that was signed for a time that is over.
	ErrURLExpired = errors.New("the URL has expired")
)

// SignURL lets whoever has the URL of a result read it until expires, at nodes
// that serve signed URLs only (RUNNERBEAN_RESULTS=signed). It returns the URL
// with expires, in Unix seconds, and signature in its query: that of the job's
// id, so the same query opens all that lies below the result: /events, /log and
// /files. key is a line of the nodes' RUNNERBEAN_URL_KEY_FILE without the
// line break, at least [MinURLKey] bytes.
func SignURL(resultURL string, key []byte, expires time.Time) (string, error) {
	u, err := webURL(resultURL)
	if err != nil {
		return "", fmt.Errorf("jobs: %w", err)
	}
	id := idOf(u.Path)
	if !ValidID(id) {
		return "", fmt.Errorf("jobs: %q is not the URL of a result", resultURL)
	}
	if len(key) < MinURLKey {
		return "", fmt.Errorf("jobs: a key for URLs has at least %d bytes", MinURLKey)
	}
	q, until := u.Query(), strconv.FormatInt(expires.Unix(), 10)
	q.Set(ParamExpires, until)
	q.Set(ParamSignature, urlSignature(key, id, until))
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// VerifySignature checks what SignURL has put into the query of the URL of the
// job id, or of something below it. [ErrSignature], [ErrURLExpired].
func VerifySignature(id string, query url.Values, key []byte, now time.Time) error {
	until, signature := query[ParamExpires], query[ParamSignature]
	if len(until) != 1 || len(signature) != 1 || len(key) < MinURLKey {
		return ErrSignature
	}
	if !hmac.Equal([]byte(urlSignature(key, id, until[0])), []byte(signature[0])) {
		return ErrSignature
	}
	end, err := strconv.ParseInt(until[0], 10, 64)
	if err != nil || now.Unix() >= end {
		return ErrURLExpired
	}
	return nil
}

func urlSignature(key []byte, id, until string) string {
	m := hmac.New(sha256.New, key)
	m.Write([]byte("v1\n" + id + "\n" + until))
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

// idOf is the job's id in the path of its result or of something below it. A
// file may itself be named like an id.
func idOf(path string) string {
	path, _, _ = strings.Cut(path, "/files/")
	path = strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(path, "/"), "/events"), "/log")
	return path[strings.LastIndexByte(path, '/')+1:]
}
