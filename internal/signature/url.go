// Package signature holds the signatures that nodes and web servers share: those of
// result URLs and of webhooks.
package signature

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/url"
	"strconv"
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
	// ErrURL is the error of a signature that is missing or of another key.
	ErrURL = errors.New("the URL has no valid signature")
	// ErrURLExpired is the error of a URL whose time is over.
	ErrURLExpired = errors.New("the URL has expired")
)

// URL returns the signature of the job id until a time in Unix seconds.
func URL(key []byte, id, until string) string {
	m := hmac.New(sha256.New, key)
	m.Write([]byte("v1\n" + id + "\n" + until))
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

// VerifyURL checks the query of a signed URL of the job id. It returns [ErrURL] or
// [ErrURLExpired] for one that is not valid.
func VerifyURL(id string, query url.Values, key []byte, now time.Time) error {
	until, signature := query[ParamExpires], query[ParamSignature]
	if len(until) != 1 || len(signature) != 1 || len(key) < MinURLKey {
		return ErrURL
	}
	if !hmac.Equal([]byte(URL(key, id, until[0])), []byte(signature[0])) {
		return ErrURL
	}
	end, err := strconv.ParseInt(until[0], 10, 64)
	if err != nil || now.Unix() >= end {
		return ErrURLExpired
	}
	return nil
}
