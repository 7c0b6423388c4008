package httpio

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/labstack/echo/v4"
)

// MaxSmallBody is the size in bytes of the largest body that is no job document.
const MaxSmallBody = 8 << 10

// ReadBody reads the JSON text that a request bears, of at most limit bytes.
func ReadBody(c echo.Context, limit int64) ([]byte, error) {
	r := c.Request()
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != TypeJSON {
		return nil, Problem(http.StatusUnsupportedMediaType, "send the body as Content-Type: application/json")
	}
	if r.Header.Get("Content-Encoding") != "" {
		return nil, Problem(http.StatusUnsupportedMediaType, "send the body without a Content-Encoding")
	}
	if r.ContentLength > limit {
		return nil, tooLarge(limit)
	}
	body, err := io.ReadAll(http.MaxBytesReader(c.Response().Writer, r.Body, limit))
	var size *http.MaxBytesError
	if err != nil && !errors.As(err, &size) {
		return nil, Problem(http.StatusBadRequest, "the body did not arrive whole and in time")
	}
	return body, err
}

// ReadOptionalBody reads a body that may be empty.
func ReadOptionalBody(c echo.Context) ([]byte, error) {
	r := c.Request()
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		return nil, nil
	}
	body, err := ReadBody(c, MaxSmallBody)
	return bytes.TrimSpace(body), err
}

// ReadObject reads a request's body into v, strictly.
func ReadObject(c echo.Context, v any) error {
	body, err := ReadBody(c, MaxSmallBody)
	if err != nil {
		return err
	}
	return DecodeObject(body, v)
}

// DecodeObject reads one JSON object without members that v does not know. What
// is wrong is a problem that says where.
func DecodeObject(body []byte, v any) error {
	if jsontext.Value(body).Kind() != jsontext.KindBeginObject {
		return Problem(http.StatusBadRequest, "the body is not a JSON object")
	}
	err := jsonv2.Unmarshal(body, v, jsonv2.RejectUnknownMembers(true))
	if err == nil {
		return nil
	}
	var semantic *jsonv2.SemanticError
	if !errors.As(err, &semantic) {
		return Problem(http.StatusBadRequest, "the body is not one JSON object: "+shortText(err.Error(), 200))
	}
	if errors.Is(err, jsonv2.ErrUnknownName) {
		return BadMember(string(semantic.JSONPointer), "is not known here")
	}
	return BadMember(string(semantic.JSONPointer), "has not the kind of value that is wanted here")
}
