// Package strictjson reads JSON of programs and inputs: exactly one value, no
// duplicate names, valid UTF-8, within bounds of depth, size and time.
package strictjson

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

// AppendValue appends the JSON value in data to dst. It leaves out white space and
// keeps everything else as it is. The error is ErrEmpty, an *Invalid or another one
// that says what is wrong.
func AppendValue(dst, data []byte) ([]byte, error) {
	if len(bytes.TrimSpace(data)) == 0 {
		return dst, ErrEmpty
	}
	if err := CheckDepth(data); err != nil {
		return dst, err
	}
	out, err := jsontext.AppendFormat(dst, data,
		jsontext.AllowDuplicateNames(false), jsontext.AllowInvalidUTF8(false), jsontext.PreserveRawStrings(true))
	if err != nil {
		return dst, explain(data, err)
	}
	return out, nil
}

// CheckValue reads r to its end. It returns an error unless r holds exactly one
// JSON value.
func CheckValue(ctx context.Context, r io.Reader) error {
	dec := jsontext.NewDecoder(&depthReader{ctx: ctx, r: r})
	err := dec.SkipValue()
	if errors.Is(err, io.EOF) && dec.InputOffset() == 0 {
		return ErrEmpty
	}
	if err != nil {
		return streamError(err)
	}
	switch _, err := dec.ReadToken(); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return streamError(err)
	}
	return fmt.Errorf("%w; the second begins near byte %d", errMany, dec.InputOffset())
}

func streamError(err error) error {
	var syntax *jsontext.SyntacticError
	switch {
	case errors.Is(err, errDepth):
		return errDepth
	case errors.Is(err, errMembers):
		return errMembers
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("not JSON: it ends in the middle of a value")
	case errors.As(err, &syntax):
		return fmt.Errorf("not JSON: %w at byte %d", syntax.Err, syntax.ByteOffset)
	}
	return err
}
