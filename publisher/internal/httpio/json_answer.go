package httpio

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/labstack/echo/v4"
)

// TypeJSON is the media type of JSON.
const TypeJSON = "application/json"

// Values of the Cache-Control field.
const (
	Immutable = "public, max-age=31536000, immutable"
	NoStore   = "no-store"
	NoCache   = "no-cache"
)

// SendJSON answers with v, which caches must not keep.
func SendJSON(c echo.Context, status int, v any) error {
	body, err := Marshal(v)
	if err != nil {
		return err
	}
	c.Response().Header().Set("Cache-Control", NoStore)
	return c.Blob(status, TypeJSON, body)
}

// Marshal returns compact JSON, with < as <.
func Marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("publisher: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
