package httpio

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/labstack/echo/v4"
)

// SendJSON answers with what is true only now.
func SendJSON(c echo.Context, status int, v any) error {
	body, err := Marshal(v)
	if err != nil {
		return err
	}
	c.Response().Header().Set("Cache-Control", NoStore)
	return c.Blob(status, TypeJSON, body)
}

const TypeJSON = "application/json"

const Immutable = "public, max-age=31536000, immutable"

const NoStore = "no-store"

const NoCache = "no-cache"

// Marshal writes JSON as it is published: compact, and < as <.
func Marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("publisher: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
