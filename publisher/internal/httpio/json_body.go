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

// ReadBody reads the JSON text of a request, of at most limit bytes. Its errors are
// problems or a *http.MaxBytesError.
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

// ReadOptionalBody reads a JSON text of at most MaxSmallBody bytes. It may be empty.
func ReadOptionalBody(c echo.Context) ([]byte, error) {
	r := c.Request()
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		return nil, nil
	}
	body, err := ReadBody(c, MaxSmallBody)
	return bytes.TrimSpace(body), err
}

// ReadObject reads the JSON object of a request into v, as DecodeObject does.
func ReadObject(c echo.Context, v any) error {
	body, err := ReadBody(c, MaxSmallBody)
	if err != nil {
		return err
	}
	return DecodeObject(body, v)
}

// DecodeObject reads one JSON object into v. It refuses members that v does not have. Its
// errors are problems with a JSON pointer.
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
