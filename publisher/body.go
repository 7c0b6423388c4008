package publisher

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/jobs"
)

// maxOrder is the size in bytes of the largest body that is no job document.
const maxOrder = 8 << 10

// readBody reads the JSON text that a request bears, of at most limit bytes.
func readBody(c echo.Context, limit int64) ([]byte, error) {
	r := c.Request()
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != typeJSON {
		return nil, problem(http.StatusUnsupportedMediaType, "send the body as Content-Type: application/json")
	}
	if r.Header.Get("Content-Encoding") != "" {
		return nil, problem(http.StatusUnsupportedMediaType, "send the body without a Content-Encoding")
	}
	if r.ContentLength > limit {
		return nil, tooLarge(limit)
	}
	body, err := io.ReadAll(http.MaxBytesReader(c.Response().Writer, r.Body, limit))
	var size *http.MaxBytesError
	if err != nil && !errors.As(err, &size) {
		return nil, problem(http.StatusBadRequest, "the body did not arrive whole and in time")
	}
	return body, err
}

// readMaybe reads a body that may be empty.
func readMaybe(c echo.Context) ([]byte, error) {
	r := c.Request()
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		return nil, nil
	}
	body, err := readBody(c, maxOrder)
	return bytes.TrimSpace(body), err
}

// readOrder reads a request's body into v, strictly.
func readOrder(c echo.Context, v any) error {
	body, err := readBody(c, maxOrder)
	if err != nil {
		return err
	}
	return decodeOrder(body, v)
}

// decodeOrder reads one JSON object without members that v does not know. What
// is wrong is a problem that says where.
func decodeOrder(body []byte, v any) error {
	if jsontext.Value(body).Kind() != jsontext.KindBeginObject {
		return problem(http.StatusBadRequest, "the body is not a JSON object")
	}
	err := jsonv2.Unmarshal(body, v, jsonv2.RejectUnknownMembers(true))
	if err == nil {
		return nil
	}
	var semantic *jsonv2.SemanticError
	if !errors.As(err, &semantic) {
		return problem(http.StatusBadRequest, "the body is not one JSON object: "+shortText(err.Error(), 200))
	}
	if errors.Is(err, jsonv2.ErrUnknownName) {
		return badMember(string(semantic.JSONPointer), "is not known here")
	}
	return badMember(string(semantic.JSONPointer), "has not the kind of value that is wanted here")
}

// badMember is a fault in the member of a body at a JSON pointer.
func badMember(pointer, message string) *jobs.Problem {
	p := problem(http.StatusUnprocessableEntity, fmt.Sprintf("%q %s", shortText(pointer, 64), message))
	p.Pointer = shortText(pointer, 512)
	return p
}
