package bucket

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"

	"github.com/minio/minio-go/v7"
)

// ErrFull is returned where the server or a quota has no room.
var ErrFull = errors.New("the bucket has no room")

// lastError is not tried again, because what it holds was.
type lastError struct{ error }

func (e *lastError) Unwrap() error { return e.error }

// answer returns what the server answered; the zero value if it did not.
func answer(err error) (a minio.ErrorResponse) {
	errors.As(err, &a)
	return a
}

// passes reports whether a request that failed may succeed when it is sent again.
func passes(err error) bool {
	var last *lastError
	if errors.As(err, &last) {
		return false
	}
	a := answer(err)
	switch a.Code {
	case "ConditionalRequestConflict", "OperationAborted", // 409: nothing was written
		"SlowDown", "SlowDownRead", "SlowDownWrite", "RequestTimeout", "InternalError", "ServiceUnavailable",
		"BadDigest", "XAmzContentChecksumMismatch", "XAmzContentSHA256Mismatch", "IncompleteBody":
		return true
	case "NotImplemented":
		return false
	}
	switch {
	case errors.Is(err, fs.ErrExist), errors.Is(err, fs.ErrNotExist), errors.Is(err, ErrFull), errors.Is(err, context.Canceled):
		return false
	case a.StatusCode != 0:
		return a.StatusCode == http.StatusRequestTimeout || a.StatusCode == http.StatusTooManyRequests || a.StatusCode == http.StatusConflict ||
			a.StatusCode >= 500 && a.StatusCode != http.StatusNotImplemented && a.StatusCode != http.StatusInsufficientStorage
	}
	return untrusted(err) == nil && !strings.Contains(err.Error(), "HTTP response to HTTPS client")
}

// untrusted returns the fault of a certificate, or nil.
func untrusted(err error) error {
	var verify *tls.CertificateVerificationError
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	if errors.As(err, &verify) || errors.As(err, &unknown) || errors.As(err, &host) {
		return err
	}
	return nil
}

func expired(err error) bool {
	var invalid x509.CertificateInvalidError
	return errors.As(err, &invalid) && invalid.Reason == x509.Expired
}

// translate gives an error its meaning as one of package fs, or as ErrFull.
func translate(err error) error {
	a := answer(err)
	switch {
	case err == nil:
		return nil
	case a.StatusCode == http.StatusPreconditionFailed, a.Code == "PreconditionFailed":
		return fs.ErrExist
	case a.Code == "NoSuchKey":
		return fs.ErrNotExist
	case a.StatusCode == http.StatusInsufficientStorage, strings.Contains(a.Code, "StorageFull"), strings.Contains(a.Code, "QuotaExceeded"):
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return err
}

// explain says what to do about a fault that does not pass.
func explain(l Location, err error) error {
	advice := ""
	switch a := answer(err); {
	case a.Code == "NoSuchBucket":
		advice = "there is no such bucket: create it, or correct its name"
	case a.Code == "InvalidAccessKeyId", strings.Contains(a.Code, "UserNotFound"):
		advice = "the server does not know the key: check AWS_ACCESS_KEY_ID"
	case a.Code == "SignatureDoesNotMatch":
		advice = "the secret does not belong to the key: check AWS_SECRET_ACCESS_KEY"
	case a.Code == "RequestTimeTooSkewed":
		advice = "the clocks of this machine and of the server differ by more than 15 minutes: set the clock"
	case a.Code == "AccessDenied", a.StatusCode == http.StatusForbidden:
		advice = "the key has no permission: it requires s3:GetObject, s3:PutObject, s3:DeleteObject and s3:ListBucket; without AWS_ACCESS_KEY_ID requests are not signed"
	case a.Code == "AuthorizationHeaderMalformed", strings.Contains(a.Code, "Redirect"), a.StatusCode >= 300 && a.StatusCode < 400:
		advice = "the server wants another region or address: set endpoint and region to those of the bucket"
	case a.Code == "InvalidBucketName":
		advice = "the server does not take this name of a bucket: correct it"
	case a.Code == "NotImplemented":
		advice = "the server lacks something that a store requires"
	case expired(err):
		advice = "its certificate has expired, or is not valid yet: replace it, and check the clocks"
	case untrusted(err) != nil:
		advice = "its certificate is not trusted: install the authority's certificate on this machine (SSL_CERT_FILE), or correct the endpoint"
	case strings.Contains(err.Error(), "HTTP response to HTTPS client"):
		advice = "the server speaks no TLS: write endpoint=http://" + l.Endpoint
	case a.StatusCode == 0:
		advice = "the server does not answer: check the endpoint"
	}
	if advice == "" {
		return fmt.Errorf("%s: %w", l, err)
	}
	return fmt.Errorf("%s: %s: %w", l, advice, err)
}
