// Package inputform makes a form that a person can fill in of a program's input
// schema, and the input of what was filled in. What of a schema has no field of
// its own is written as JSON.
package inputform

import (
	"encoding/json"
	"slices"
	"strings"
)

// Kind is how a person enters a value.
type Kind string

// The kinds.
const (
	Group  Kind = "group"  // an object: its Fields
	Text   Kind = "text"   // one line
	Long   Kind = "long"   // several lines
	Number Kind = "number" // also integers: Step is 1 then
	Switch Kind = "switch" // true or false
	Choice Kind = "choice" // one of Options
	List   Kind = "list"   // numbers or short texts, a line or a comma apart
	Time   Kind = "time"   // RFC 3339
	JSON   Kind = "json"   // anything, as JSON
)

const (
	maxDepth  = 6
	maxFields = 200
	maxOption = 200 // of one choice
)

// Field is one value of the input.
type Field struct {
	// Name of the form's field: the JSON pointer of the value, "" for the whole
	// input.
	Name        string
	Label       string
	Description string
	Kind        Kind
	Required    bool
	// Min, Max, Step, MaxLength and Pattern are attributes of an input element;
	// empty where there is none.
	Min, Max, Step, MaxLength, Pattern string
	Options                            []string // as JSON, for a Choice
	Labels                             []string // of Options
	Numbers                            bool     // a List of numbers
	Whole                              bool     // a Number, or the numbers of a List, are integers
	Value                              string   // what the field begins with
	Error                              string   // what is wrong with the value
	Fields                             []*Field
}

// schema is what a form understands of JSON Schema 2020-12.
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

// kinds is the type of a schema, without null.
func (s *schema) kinds() []string {
	var one string
	if json.Unmarshal(s.Type, &one) == nil {
		return []string{one}
	}
	var many []string
	_ = json.Unmarshal(s.Type, &many)
	return slices.DeleteFunc(many, func(t string) bool { return t == "null" })
}

// builder makes the fields of one schema.
type builder struct {
	defs  map[string]*schema
	count int
}

// New makes the form of a JSON Schema. Without one, or where it says too little,
// it is one field for JSON.
func New(text []byte) *Field {
	var s schema
	if len(text) == 0 || json.Unmarshal(text, &s) != nil {
		return whole("")
	}
	b := &builder{defs: s.Defs}
	f := b.field("", "", &s, true, 0)
	if b.count > maxFields {
		return whole(s.Description)
	}
	if f.Kind != Group {
		f.Label = "Input"
	}
	return f
}

// whole is the form of an input about which nothing is known.
func whole(description string) *Field {
	return &Field{Label: "Input as JSON", Description: description, Kind: JSON, Required: true}
}

func (b *builder) field(name, label string, s *schema, required bool, depth int) *Field {
	b.count++
	if def := b.defs[strings.TrimPrefix(s.Ref, "#/$defs/")]; s.Ref != "" && def != nil && def.Ref == "" {
		s = def
	}
	f := &Field{Name: name, Label: label, Description: s.Description, Required: required, Kind: JSON}
	if s.Title != "" && depth > 0 {
		f.Label = s.Title
	}
	if b.count > maxFields || depth > maxDepth {
		return f
	}
	b.shape(f, s, depth)
	f.Value = value(f, s)
	return f
}

// shape chooses the kind of a field. Where a value may be one of several things
// it stays JSON.
func (b *builder) shape(f *Field, s *schema, depth int) {
	if len(s.AnyOf)+len(s.OneOf)+len(s.AllOf) > 0 || s.Ref != "" {
		return
	}
	if len(s.Enum) > 0 && len(s.Enum) <= maxOption {
		f.choose(s.Enum)
		return
	}
	kinds := s.kinds()
	if len(kinds) == 0 && len(s.Properties.list) > 0 {
		kinds = []string{"object"}
	}
	if len(kinds) != 1 {
		return
	}
	switch kinds[0] {
	case "object":
		b.group(f, s, depth)
	case "boolean":
		f.Kind = Switch
	case "number", "integer":
		f.number(s, kinds[0] == "integer")
	case "string":
		f.text(s)
	case "array":
		b.list(f, s)
	}
}

func (b *builder) group(f *Field, s *schema, depth int) {
	if len(s.Properties.list) == 0 {
		return
	}
	f.Kind = Group
	for _, p := range s.Properties.list {
		f.Fields = append(f.Fields, b.field(f.Name+"/"+escape(p.name), p.name, p.schema, slices.Contains(s.Required, p.name), depth+1))
	}
}

// escape writes a name as a part of a JSON pointer (RFC 6901).
func escape(name string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}

func (f *Field) choose(options []json.RawMessage) {
	f.Kind = Choice
	for _, o := range options {
		f.Options = append(f.Options, string(o))
		label := string(o)
		var text string
		if json.Unmarshal(o, &text) == nil {
			label = text
		}
		f.Labels = append(f.Labels, label)
	}
}

func (f *Field) number(s *schema, whole bool) {
	f.Kind, f.Step, f.Whole = Number, "any", whole
	if whole {
		f.Step = "1"
	}
	f.Min, f.Max = s.Minimum.String(), s.Maximum.String()
	// HTML knows no exclusive limits; the schema is checked afterwards.
	if f.Min == "" {
		f.Min = s.ExclusiveMinimum.String()
	}
	if f.Max == "" {
		f.Max = s.ExclusiveMaximum.String()
	}
}

func (f *Field) text(s *schema) {
	f.Kind, f.MaxLength, f.Pattern = Text, s.MaxLength.String(), s.Pattern
	if s.Format == "date-time" {
		f.Kind = Time
	}
	if n, err := s.MaxLength.Int64(); err == nil && n > 200 {
		f.Kind = Long
	}
}

// list is for arrays of plain numbers or texts; others are written as JSON.
func (b *builder) list(f *Field, s *schema) {
	var items schema
	if json.Unmarshal(s.Items, &items) != nil {
		return
	}
	if def := b.defs[strings.TrimPrefix(items.Ref, "#/$defs/")]; items.Ref != "" && def != nil {
		items = *def
	}
	kinds := items.kinds()
	if len(kinds) != 1 || len(items.Enum)+len(items.AnyOf)+len(items.OneOf)+len(items.AllOf) > 0 {
		return
	}
	switch kinds[0] {
	case "number", "integer":
		f.Kind, f.Numbers, f.Whole = List, true, kinds[0] == "integer"
	case "string":
		f.Kind = List
	}
}

// value is what a field begins with: the default, or the first example of one
// that has to be filled in.
func value(f *Field, s *schema) string {
	v := s.Default
	if v == nil && f.Required && len(s.Examples) > 0 {
		v = s.Examples[0]
	}
	if v == nil {
		return ""
	}
	return write(f, v)
}

// write is a JSON value as a person would enter it.
func write(f *Field, v json.RawMessage) string {
	switch f.Kind {
	case Text, Long, Time:
		var text string
		if json.Unmarshal(v, &text) == nil {
			return text
		}
	case List:
		var items []json.RawMessage
		if json.Unmarshal(v, &items) == nil {
			parts := make([]string, 0, len(items))
			for _, item := range items {
				parts = append(parts, write(&Field{Kind: Text}, item))
			}
			return strings.Join(parts, ", ")
		}
	}
	return string(v)
}
