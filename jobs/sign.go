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
	// ErrSignature is the error of a signature that is missing or of another key.
	ErrSignature = errors.New("the URL has no valid signature")
	// ErrURLExpired is the error of a URL whose time is over.
	ErrURLExpired = errors.New("the URL has expired")
)

// SignURL returns the URL of a result with the parameters expires, in Unix seconds,
// and signature. Nodes with RUNNERBEAN_RESULTS=signed answer it until expires. The
// signature is of the job's id, so the same query also opens /events, /log and
// /files below the result. key is a line of the nodes' RUNNERBEAN_URL_KEY_FILE
// without the line break, at least [MinURLKey] bytes.
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

// VerifySignature checks the query that SignURL has made for the job id. It returns
// [ErrSignature] or [ErrURLExpired] for one that is not valid.
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

// idOf returns the job id in the path of a result or of something below it. A file
// below it may itself be named like an id.
func idOf(path string) string {
	path, _, _ = strings.Cut(path, "/files/")
	path = strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(path, "/"), "/events"), "/log")
	return path[strings.LastIndexByte(path, '/')+1:]
}
