package inputform

import (
	"bytes"
	"encoding/json"
	"slices"
)

// orderedSchemas are the properties of a schema in the order of its text, which is the
// order that its author has chosen.
type orderedSchemas struct{ list []property }

type property struct {
	name   string
	schema *schema
}

func (o *orderedSchemas) UnmarshalJSON(text []byte) error {
	d := json.NewDecoder(bytes.NewReader(text))
	if _, err := d.Token(); err != nil { // the opening brace
		return err
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		s := &schema{}
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return err
		}
		// The schema of a property may be true or false, which says nothing.
		_ = json.Unmarshal(raw, s)
		key, _ := name.(string)
		o.list = append(o.list, property{key, s})
	}
	return nil
}

// schema has the parts of JSON Schema 2020-12 that a form understands.
type schema struct {
	Type             json.RawMessage    `json:"type"`
	Title            string             `json:"title"`
	Description      string             `json:"description"`
	Properties       orderedSchemas     `json:"properties"`
	Required         []string           `json:"required"`
	Enum             []json.RawMessage  `json:"enum"`
	Const            json.RawMessage    `json:"const"`
	Items            json.RawMessage    `json:"items"`
	Default          json.RawMessage    `json:"default"`
	Examples         []json.RawMessage  `json:"examples"`
	Minimum          json.Number        `json:"minimum"`
	Maximum          json.Number        `json:"maximum"`
	ExclusiveMinimum json.Number        `json:"exclusiveMinimum"`
	ExclusiveMaximum json.Number        `json:"exclusiveMaximum"`
	MaxLength        json.Number        `json:"maxLength"`
	Pattern          string             `json:"pattern"`
	Format           string             `json:"format"`
	Ref              string             `json:"$ref"`
	AnyOf            []json.RawMessage  `json:"anyOf"`
	OneOf            []json.RawMessage  `json:"oneOf"`
	AllOf            []json.RawMessage  `json:"allOf"`
	Defs             map[string]*schema `json:"$defs"`
}

// kinds returns the types of a schema, without null.
func (s *schema) kinds() []string {
	var one string
	if json.Unmarshal(s.Type, &one) == nil {
		return []string{one}
	}
	var many []string
	_ = json.Unmarshal(s.Type, &many)
	return slices.DeleteFunc(many, func(t string) bool { return t == "null" })
}
