// Package validate checks JSON values against the JSON Schemas of programs. Both
// may be hostile: schemas and numbers are bounded, nothing is loaded, and a
// check ends with its context.
package validate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"github.com/runnerbean/runnerbean/internal/panics"
)

// Bounds of a schema. Compiling one takes time with the square of its values,
// and cannot be stopped.
const (
	maxSchemaNesting = 100
	maxSchemaValues  = 20_000
)

// step is how much is done between two looks at the context.
const step = 1 << 12

// Schema is a compiled JSON Schema: 2020-12, unless its $schema names an older
// draft. It may be used by several goroutines.
type Schema struct{ root *jsonschema.Schema }

// Mismatch is the error of a value that its schema does not allow, or that is
// beyond what can be checked.
type Mismatch struct {
	Pointer string // of the value (RFC 6901); "" is the whole
	Message string
}

func (m *Mismatch) Error() string {
	if m.Pointer == "" {
		return m.Message
	}
	return m.Pointer + ": " + m.Message
}

// Compile compiles a schema that may refer to itself only: nothing is loaded from
// the network or from files. The text must be one JSON value.
func Compile(text []byte) (compiled *Schema, err error) {
	defer panics.Recover(&err)
	m, err := measure(context.Background(), text, maxSchemaNesting)
	if err != nil {
		return nil, err
	}
	if m.values > maxSchemaValues {
		return nil, fmt.Errorf("it has more than %d values", maxSchemaValues)
	}
	c := jsonschema.NewCompiler()
	c.Draft = jsonschema.Draft2020
	c.AssertFormat = true
	c.LoadURL = func(url string) (io.ReadCloser, error) {
		return nil, fmt.Errorf("%s: a schema may refer to itself only", url)
	}
	const name = "mem:///schema.json"
	if err := c.AddResource(name, bytes.NewReader(text)); err != nil {
		return nil, err
	}
	root, err := c.Compile(name)
	if err != nil {
		return nil, fmt.Errorf("it is not a JSON Schema: %w", err)
	}
	return &Schema{root: root}, nil
}

// Check checks a well-formed JSON value; nil allows all. The error is a
// [*Mismatch], or the cause of the context's end.
func (s *Schema) Check(ctx context.Context, value []byte) error {
	if s == nil {
		return nil
	}
	if _, err := measure(ctx, value, maxNesting); err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(value))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return err
	}
	var fault *jsonschema.ValidationError
	if err := s.root.Validate(v); !errors.As(err, &fault) {
		return err
	}
	for len(fault.Causes) > 0 {
		fault = fault.Causes[0]
	}
	return &Mismatch{Pointer: fault.InstanceLocation, Message: fault.Message}
}
