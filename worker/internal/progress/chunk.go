package progress

import (
	"errors"
	"math"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/runnerbean/runnerbean/internal/logtext"
	"github.com/runnerbean/runnerbean/worker/internal/strictjson"
)

const (
	maxChunkText = 128 // in bytes
	// maxWhole is the greatest number that all JSON readers agree on.
	maxWhole = 1 << 53
)

// chunk is a part of a larger work.
type chunk struct{ id, of string }

// decodeChunk reads the member chunk of an event; nil if there is none.
func decodeChunk(value jsontext.Value) (*chunk, error) {
	if len(value) == 0 {
		return nil, nil
	}
	if value.Kind() != '{' {
		return nil, errors.New("its chunk is not an object")
	}
	var parts struct {
		ID jsontext.Value `json:"id"`
		Of jsontext.Value `json:"of"`
	}
	if err := json.Unmarshal(value, &parts); err != nil {
		return nil, strictjson.Readable(err)
	}
	c := &chunk{}
	var ok bool
	if c.id, ok = chunkText(parts.ID); !ok || c.id == "" {
		return nil, errors.New("chunk/id is not a text of 1 to 128 bytes, or a whole number from 0")
	}
	if len(parts.Of) == 0 || parts.Of.Kind() == 'n' {
		return c, nil
	}
	if c.of, ok = chunkText(parts.Of); !ok {
		return nil, errors.New("chunk/of is not a text of at most 128 bytes, or a whole number from 0")
	}
	return c, nil
}

// chunkText returns a text, or a whole number as text, as a terminal shows it on one line.
func chunkText(value jsontext.Value) (string, bool) {
	switch value.Kind() {
	case '"':
		raw, err := jsontext.AppendUnquote(nil, value)
		if err != nil || len(raw) > maxChunkText {
			return "", false
		}
		text := []rune(logtext.Clean(string(raw), maxChunkText))
		for i, r := range text {
			if r == '\n' || r == '\t' {
				text[i] = ' '
			}
		}
		return string(text), true
	case '0':
		n, err := strconv.ParseFloat(string(value), 64)
		if err != nil || n < 0 || n > maxWhole || n != math.Trunc(n) {
			return "", false
		}
		return strconv.FormatInt(int64(n), 10), true
	}
	return "", false
}
