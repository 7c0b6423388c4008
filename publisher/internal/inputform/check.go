package inputform

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/santhosh-tekuri/jsonschema/v5"
)

// Check validates an input by a program's schema. Where it is at fault, pointer
// is the JSON pointer of the place. A schema that cannot be used is not held
// against the input: the program's node judges it again.
func Check(schema, input []byte) (pointer, fault string) {
	compiled := compile(schema)
	if compiled == nil {
		return "", ""
	}
	if !jsontext.Value(input).IsValid() {
		return "", "is not well-formed JSON"
	}
	d := json.NewDecoder(bytes.NewReader(input))
	d.UseNumber() // digits beyond those of a float64 count
	var value any
	if d.Decode(&value) != nil {
		return "", "is not well-formed JSON"
	}
	err := compiled.Validate(value)
	var invalid *jsonschema.ValidationError
	if !errors.As(err, &invalid) {
		return "", ""
	}
	for len(invalid.Causes) > 0 {
		invalid = invalid.Causes[0]
	}
	return invalid.InstanceLocation, invalid.Message
}

// compile returns nil for a schema that cannot be used, or that would load others.
func compile(schema []byte) *jsonschema.Schema {
	c := jsonschema.NewCompiler()
	c.Draft = jsonschema.Draft2020
	c.AssertFormat = true
	c.LoadURL = func(url string) (io.ReadCloser, error) {
		return nil, fmt.Errorf("%s: a schema may refer to itself only", url)
	}
	const name = "mem:///input.json"
	if len(schema) == 0 || c.AddResource(name, bytes.NewReader(schema)) != nil {
		return nil
	}
	compiled, err := c.Compile(name)
	if err != nil {
		return nil
	}
	return compiled
}
