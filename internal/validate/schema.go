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
	"maps"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"github.com/runnerbean/runnerbean/internal/panics"
)

// Bounds of a schema. Compiling one takes time with the square of its values,
// and cannot be stopped.
const (
	maxSchemaNesting = 100
	maxSchemaValues  = 20_000
)

// Schema is a compiled JSON Schema: 2020-12, unless its $schema names an older
// draft. It may be used by several goroutines.
type Schema struct{ root *rule }

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
	var document any
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	if err := dec.Decode(&document); err != nil {
		return nil, err
	}
	if err := new(patterns).walk(document); err != nil {
		return nil, err
	}
	c, err := NewCompiler(schemaName, text)
	if err != nil {
		return nil, err
	}
	root, err := c.Compile(schemaName)
	if err != nil {
		return nil, fmt.Errorf("it is not a JSON Schema: %w", err)
	}
	return newSchema(c, root, document)
}

// NewCompiler returns a compiler of draft 2020-12 that knows text under url. It
// asserts formats, and does not load other schemas from files or the network.
func NewCompiler(url string, text []byte) (*jsonschema.Compiler, error) {
	c := jsonschema.NewCompiler()
	c.Draft = jsonschema.Draft2020
	c.AssertFormat = true
	c.LoadURL = func(url string) (io.ReadCloser, error) {
		return nil, fmt.Errorf("%s: a schema may refer to itself only", url)
	}
	return c, c.AddResource(url, bytes.NewReader(text))
}

func newSchema(c *jsonschema.Compiler, root *jsonschema.Schema, document any) (*Schema, error) {
	b := &rules{made: map[*jsonschema.Schema]*rule{}, document: document, resources: newResources(c, root, document)}
	s := &Schema{root: b.rule(root)}
	for size := 0; b.depends && size < len(b.made); { // anchors may lead to more rules
		size = len(b.made)
		for from, r := range maps.Clone(b.made) {
			if r.resource == nil {
				r.resource = b.resources.of(b, from)
			}
		}
	}
	return s, b.err
}

// Check checks a JSON value that is well-formed and in which no name occurs
// twice in an object; nil allows all. It takes time with the size of the value
// and what the schema asks, and memory for itemwise comparison only. The error is
// a [*Mismatch], or the cause of the context's end.
func (s *Schema) Check(ctx context.Context, value []byte) error {
	if s == nil {
		return nil
	}
	if _, err := measure(ctx, value, maxNesting); err != nil {
		return err
	}
	r := run{ctx: ctx, text: value, untilCheck: step}
	ok, err := r.check(s.root)
	switch {
	case errors.Is(err, errApplied):
		return &Mismatch{Message: err.Error()}
	case err != nil || ok:
		return err
	}
	return r.mismatch(ctx)
}
